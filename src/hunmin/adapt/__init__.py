"""Adapt existing models: give them another language, other tasks, a smaller size.

embeddings.py   rows of embeddings for new pieces, mixed from the rows of old ones
focus.py        which old pieces resemble a new one, by their company in a text
extend.py       a model folder with an extended tokenizer and the embeddings for it
nlu/            intents and slots of utterances: data format, scores, baselines
"""
