"""Decontamination: evaluation items that stand in documents, found, reported and kept out."""
