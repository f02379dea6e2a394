"""Trained NLU models for production: ONNX in float32 and int8, compared before they are handed on.

It lies in serving, since its gate asks the very engine that will answer (`serving/nlu`).

spec.py        what a recipe says
graph.py       torch to float32 ONNX
quantize.py    float32 ONNX to int8: matrices by column, embeddings by row
utterances.py  what the networks are asked
gate.py        what the networks answer on labelled utterances, compared
report.py      report.json and report.md
export.py      all of it, whole or not at all
"""
