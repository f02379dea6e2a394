"""The training loop: where models, data and (later) parallelism meet."""
