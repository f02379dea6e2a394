"""Morphemes: analysers behind one protocol, and gold segmentations to judge by.

boundaries.py   Boundaries of a text, the kinds of boundaries, the Analyser protocol
morphemes.py    from an analyser's morphemes to boundaries: the one rule for all
tags.py         from part-of-speech tags to kinds: Sejong, KAIST, UniDic
kiwi.py         Korean by Kiwi
words.py        words in running text; base of analysers that need no context
table.py        any language by a table of segmented words
segmented.py    the formats of such tables
alignment.py    where canonical segments meet in the word as it is written
windows.py      cutting words that a table lacks
gold.py         human segmentations: KLUE-DP, UD Korean, SIGMORPHON, tables
scoring.py      recall, precision and F1 against them
"""
