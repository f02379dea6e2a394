"""Teach a small model to answer as a large one does.

divergences.py      forward and reverse KL, Jensen-Shannon, and their slopes
targets.py          the teacher's logits: all, or the likeliest and one bucket for the rest
losses.py           soft and hard loss chunk by chunk, hidden states, intents and slots
"""
