"""Language identification: the script decides or leaves candidates, a classifier chooses.

identifier.py    the language of texts, with a score and a script
kernel.py        the same for record batches, beside what their source says
excerpt.py       the part of a text that tells its language
prior.py         from the letters to the script, from the script to candidates
classifier.py    the Classifier protocol
registry.py      the classifiers by name
naive_bayes.py   py3langid, the default
cld2.py          pycld2, quick
fasttext.py      a fastText model that the user brings, such as GlotLID
labels.py        from labels of classifiers to canonical tags
thresholds.py    how sure a classifier must be of each language
"""
