"""What every other layer stands on: errors, recipes, artifacts, progress, logging."""
