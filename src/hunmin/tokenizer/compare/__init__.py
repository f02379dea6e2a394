"""Compare any tokenizers on any texts and gold standards.

subject.py    what is asked of a tokenizer to be compared; its tokens in columns
library.py    any folder with tokenizer.json, through the `tokenizers` library
load.py       a folder -> its subject
texts.py      texts from documents artifacts and files
measures.py   tokens of texts; agreement of token boundaries with gold boundaries
references.py gold standards and analysers: boundaries to compare with
speed.py      MB per CPU-second, in interleaved rounds
view.py       where each tokenizer cuts a sentence, side by side
results.py    the layout of report.json
compare.py    all of it, and the report artifact
table.py      tables for the terminal and the report
report.py     report.md
plots.py      the frontier of recall and tokens, recall by kind, densities
"""
