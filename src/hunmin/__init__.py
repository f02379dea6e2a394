"""hunmin: language models for every language, from raw text to a working assistant."""

__version__ = "0.1.0"
