"""Other labelled data sets, read as utterances that `massive_files.write_folder` writes.

formats.py    which there are, and their files
records.py    one JSON record a line, and what is said of a malformed one
xsid.py       xSID: tokens with tags, many languages
slurp.py      SLURP: MASSIVE's English parent
nlupp.py      NLU++: several intents an utterance, folds instead of partitions
"""
