"""Consistent BPE: trained with morpheme boundaries, used without an analyser.

word_types.py   texts and their boundaries -> word types, with how often each boundary is there
characters.py   the merges that form common characters, before all others
sequences.py    word types as arrays of symbols, linked so that merging is cheap
pairs.py        counts, boundaries and places of all pairs of neighbours, kept up to date
learn.py        the merges: the best pair by within - penalty x across, applied everywhere

Ordinary practice cuts words at morpheme boundaries before training. The tokenizer then meets uncut
words in use, and merges learned inside one morpheme fire across boundaries elsewhere. Here training
sees what use will do: each merge is applied wherever its pair stands, and a pair that often stands
across a boundary is not worth merging.
"""
