"""Byte models without a network: the honest baselines a language model must beat."""
