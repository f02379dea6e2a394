"""A whole run: steps times seconds, checkpoints and failures, days, cost and energy."""
