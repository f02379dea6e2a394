"""How tokenizers are trained: one module per method, each `train(task) -> Tokenizer`.

base.py          TrainingTask, what a method gets; reading the sample with a progress bar
byte_bpe.py      byte-level BPE, the library's trainer
char_bpe.py      BPE over characters, the rare ones spelled in bytes
unigram.py       unigram models over characters or bytes, by SentencePiece
morpheme_bpe.py  byte-level BPE that respects morphemes and needs no analyser, see consistent/
presplit.py      byte-level BPE on words that are cut at morpheme boundaries
segmented.py     the sample with morpheme boundaries
characters.py    which characters of a sample become entries
cuts.py          places in training text that no entry may cross
"""
