"""The spoken form of texts, for models of voice assistants.

form.py      the spoken form of a line
lines.py     of a text, line by line, reserved tokens left alone; and a kernel
spans.py     of an utterance with slots, whose places move along
korean.py    Korean numbers, native or Sino-Korean by what is counted
numbers.py   numbers of other languages by the rules of CLDR
"""
