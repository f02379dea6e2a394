"""Morphemes: analysers behind one protocol, and gold segmentations to judge by.

boundaries.py   Boundaries of a text, the kinds of boundaries, the Analyser protocol
"""
