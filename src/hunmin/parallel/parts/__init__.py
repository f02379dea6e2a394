"""Tensors that ranks hold in parts: who holds what, norms over all, whole matrices in turn."""
