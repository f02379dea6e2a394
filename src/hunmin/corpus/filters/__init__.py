"""Quality filters: statistics of documents, thresholds by language, a classifier."""
