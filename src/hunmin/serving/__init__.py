"""Generation from a model folder: a batching engine and an OpenAI-compatible API."""
