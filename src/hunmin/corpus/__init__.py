"""Corpus: raw sources to clean, de-duplicated documents; every dropped record has a reason."""
