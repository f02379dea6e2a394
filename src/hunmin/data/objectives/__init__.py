"""Self-supervised objectives: documents in, what a model reads and what it is to say out.

ragged.py        documents of different lengths in one array
randomness.py    random numbers that depend on the document alone
base.py          Objective, Corrupted: what all objectives take and give
masking.py       masked language modelling
spans.py         span filling with sentinels
ordering.py      shuffled tokens, shuffled sentences
denoising.py     text infilling: BART, mBART, AlexaTM
continuation.py  causal and prefix language modelling, continuation after a marker
mixture.py       several objectives by weight
sentences.py     where sentences begin, told from tokens
spec.py          what a recipe may say about them
build.py         from what it says to the objectives

Documents -> [ObjectiveMixture -> choice per document ->] Objective -> Corrupted(inputs, targets)
"""
