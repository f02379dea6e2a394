"""Text: Unicode normal form, encodings, lines of large files, language tags."""
