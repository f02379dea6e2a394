"""From a recipe to finished artifacts: which stages there are, and which of them must run."""
