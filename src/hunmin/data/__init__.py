"""Token shards and batches: documents and a tokenizer in, tensors for training out.

spec.py         what a recipe may say
shards.py       documents + tokenizer -> tokens artifact
encoding.py     tokenizing record batches, in this process or in several
spool.py        tokens in the order they arrive, then written again in shuffled order
tokens.py       the tokens artifact: its facts, and circular streams over its shards
mixture.py      which group each sample comes from
permutation.py  shuffling without memory
batch.py        TokenBatch: the tensors of a batch
loader.py       TokenLoader: any batch of the training order, by its number
scoring.py      whole documents packed for evaluation, each token scored once
"""
