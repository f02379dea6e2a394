"""Sentences: where they end, as offsets; the text itself is never changed.

split.py    splitters by name, sentences as pieces, a kernel
rules.py    by marks, capitals, abbreviations and endings: any language, the default
pysbd.py    by pysbd, for the languages it serves
kiwi.py     Korean by Kiwi
"""
