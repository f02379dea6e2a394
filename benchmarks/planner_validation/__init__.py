"""Published training speeds against what the planner predicts."""
