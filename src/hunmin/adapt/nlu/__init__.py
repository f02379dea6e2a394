"""Natural language understanding: the intent of an utterance and its slots.

annotations.py    `[slot : value]` text of the MASSIVE data set, read and written
utterances.py     an utterance with its words, slots and intent
tags.py           one tag a word (B-, I-, O) for slots, and slots for tags
massive_files.py  a folder of LOCALE.jsonl files, read and written
scores.py         intent accuracy, slot F1 and exact match with intervals
baselines.py      the most frequent intent, and a linear model of character n-grams
"""
