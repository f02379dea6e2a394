"""Tokenizers: train them, load them, look at what they do to a text.

spec.py      what a recipe may say about a tokenizer
reserved.py  special tokens kept free for objectives, languages and tags
sample.py    which text a tokenizer is trained on, fair to small languages
train.py     documents -> tokenizer artifact (a Hugging Face folder)
methods/     how each kind is trained
load.py      TextTokenizer: text <-> ids, for any tokenizer.json whose entries stand for bytes
pieces.py    the bytes of vocabulary entries, in the formats of GPT-2, Llama 2, Gemma and others
exact.py     the analyser at inference: cutting texts at morpheme boundaries before encoding
gguf.py      the vocabulary as metadata for llama.cpp
bulk.py      the same ids several times faster, when tiktoken is there and proves itself
inspect.py   pieces of a text with ids, bytes and offsets
merges.py    the merges that made the tokens of a word
compare/     any tokenizers on any texts and gold segmentations
alphabet.py  the byte <-> character table of GPT-2
"""
