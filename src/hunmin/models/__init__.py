"""Model shapes over transformers configurations, losses, loading and export; single-device code."""
