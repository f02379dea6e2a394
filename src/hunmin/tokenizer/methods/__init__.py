"""How tokenizers are trained: one module per method, each `train(task) -> Tokenizer`.

base.py          TrainingTask, what a method gets; reading the sample with a progress bar
byte_bpe.py      byte-level BPE, the library's trainer
"""
