"""Morphemes: analysers behind one protocol, and gold segmentations to judge by.

boundaries.py   Boundaries of a text, the kinds of boundaries, the Analyser protocol
morphemes.py    from an analyser's morphemes to boundaries: the one rule for all
tags.py         from part-of-speech tags to kinds: Sejong, KAIST, UniDic
registry.py     the analysers by name
kiwi.py         Korean by Kiwi
mecab.py        Korean by mecab-ko-dic, Japanese by UniDic
sudachi.py      Japanese by Sudachi
words.py        words in running text; base of the analysers that need no context
morfessor.py    any language: learns from the words of the text
table.py        any language: looks up in a table of segmented words
segmented.py    the formats of such tables
alignment.py    where canonical segments meet in the word as it is written
windows.py      cutting words that a table lacks
segment.py      many texts: processes, progress, lines that fail
cache.py        results remembered by the hash of analyser and text
gold.py         human segmentations: KLUE-DP, UD Korean, SIGMORPHON, tables
scoring.py      recall, precision and F1 against them
"""
