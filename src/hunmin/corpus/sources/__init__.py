"""Sources: what a corpus is read from; one folder a kind, the registry names the reader of each."""
