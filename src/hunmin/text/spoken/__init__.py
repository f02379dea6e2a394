"""The spoken form of texts, for models of voice assistants.

form.py      the spoken form of a text, and a kernel
korean.py    Korean numbers, native or Sino-Korean by what is counted
numbers.py   numbers of other languages by the rules of CLDR
"""
