"""Weights of models that no host holds whole: from a seed or a folder, and back into a folder."""
