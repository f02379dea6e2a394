"""Held-out scores of a language model beside honest baselines, with reports and plots."""
