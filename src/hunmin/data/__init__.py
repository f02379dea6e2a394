"""Token shards and batches: documents and a tokenizer in, tensors for training out.

spec.py         what a recipe may say
shards.py       documents + tokenizer -> tokens artifact
encoding.py     tokenizing record batches, in this process or in several
spool.py        tokens in the order they arrive, then written again in shuffled order
tokens.py       the tokens artifact: its facts, and circular streams over its shards
mixture.py      which group each sample comes from
permutation.py  shuffling without memory
batch.py        TokenBatch, PairBatch: the tensors of a batch
loader.py       TokenLoader: any batch of the training order, by its number
corrupting.py   CorruptingLoader: the same for corrupted documents; make_loader chooses
corruption.py   windows cut into documents, corrupted by the objectives of a recipe
pairs.py        what an encoder reads and a decoder says, packed into rows
objectives/     what is done to documents: masking, spans, denoising, …
scoring.py      whole documents packed for evaluation, each token scored once
"""
