"""Parsing utterances where they arrive: ONNX Runtime, one core, neither torch nor transformers.

network.py  the two files of an exported model as one function of ids and mask
engine.py   texts to parses, in batches of like length
folder.py   from a path that a user names to what parses its texts
records.py  a parse as JSON
wire.py     POST /v1/nlu: what a request may say, and what an answer says
api.py      the routes
"""
