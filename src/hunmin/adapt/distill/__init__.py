"""Teach a small model to answer as a large one does.

spec.py             what a recipe may say
method.py           distillation as a method of training
objective.py        a student and what it loses; on_policy.py: by what it writes itself
teacher.py          any model folder, frozen, beside the student
cache.py            its answers on disk; answers.py: batches that carry them
targets.py          its logits: all, or the likeliest and one outcome for the rest
softmax.py          its softmax, taken once for all losses on logits
losses.py           soft and hard loss chunk by chunk, hidden states, intents and slots
divergences.py      forward and reverse KL, Jensen-Shannon, and their slopes
relations.py        MiniLMv2: how queries, keys and values relate tokens
layers.py           layers of any architecture, and which belong together
initialise.py       a student that begins as a part of its teacher
sequence_level.py   text that a teacher writes, where tokenizers differ
vocabulary.py       a tokenizer trimmed to some languages; trim.py: with its model
"""
