"""Tokenizers: train them, load them, look at what they do to a text.

spec.py      what a recipe may say about a tokenizer
sample.py    which text a tokenizer is trained on, fair to small languages
train.py     documents -> tokenizer artifact (a Hugging Face folder)
load.py      TextTokenizer: text <-> ids, for any folder with a byte-level tokenizer.json
bulk.py      the same ids several times faster, when tiktoken is there and proves itself
inspect.py   pieces of a text with ids, bytes and offsets
alphabet.py  the byte <-> character table of GPT-2
"""
