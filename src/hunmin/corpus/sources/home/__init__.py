"""Utterances to a voice assistant, sampled from the sentence templates of Home Assistant."""
