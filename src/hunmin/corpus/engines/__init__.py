"""Engines: where the work of a corpus runs, on this machine or on a cluster, behind six verbs."""
