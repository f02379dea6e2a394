"""Give an existing tokenizer the pieces of another language; all its ids stay what they are.

base.py      the tokenizer.json of somebody else's model: its words, its pieces, with more of them
scripts.py   which pieces can occur only in texts of some scripts
learn.py     continued BPE: more merges on text as the old tokenizer leaves it
measure.py   what the extension does to texts: bytes per token, changed lines, reachable pieces
"""
