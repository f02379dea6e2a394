"""The part of a text that tells its language: its first letters, without code and addresses."""

from __future__ import annotations

import re

# What stands in texts of every language and reads like English to a classifier. All of it begins
# with a character of one class, so that text without any is passed over quickly; which one it was
# is looked up behind.
_NOISE = re.compile(
    r"""
    [`<&A-Za-z0-9_]
    (?<![A-Za-z][A-Za-z])                                # most letters stand within a word
    (?:
        (?<=`)(?:``.*?(?:```|\Z) | [^`\n]{1,200}`)         # code in Markdown
      | (?<=<)(?:(?:script|style)\b.*?(?:</(?:script|style)>|\Z) | /?[A-Za-z][^<>]{0,300}>)
      | (?<=&)\#?[A-Za-z0-9]{1,10};
      | (?<=[0-9])[0-9]*(?![A-Za-z0-9_.]*[@_])
      | (?<![A-Za-z0-9_\u00c0-\u024f][A-Za-z0-9_])                      # at the beginning of a word
        (?=[A-Za-z]*+[0-9_.+@:/\\-] | (?<=[a-z])[a-z]*+[A-Z])           # that is no plain one
        (?:
            (?<=[hf])(?:ttps?|tp)://[^\s<>"'()]+
          | (?<=w)ww\.[^\s<>"'()]+
          | [\w.+-]{0,63}@[A-Za-z0-9-]{1,63}\.[A-Za-z0-9.-]+
          | (?<=[A-Za-z_])[\w-]*(?:(?:\.|::|->|/|\\)[A-Za-z_][\w-]*)+(?:\(\))?   # a.b, a::b, a/b
          | [A-Za-z0-9]*_[A-Za-z0-9_]*                      # a_b
          | (?<=[a-z])[a-z]*[A-Z][A-Za-z]*                  # aB
        )
    )
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_MAY_BE_NOISE = re.compile(r"[A-Za-z0-9`<&]")
_SPACES = re.compile(r"\s{2,}")
# What every noise has that holds letters.
_MAY_HIDE_LETTERS = re.compile(r"[A-Za-z`]")
# How far to read, in multiples of what is wanted, and the share of it that will do.
_REACHES = (1.25, 4, 8)
_ENOUGH = 0.75


def excerpt(text: str, num_letters: int) -> str:
    """Return the beginning of a text as far as it tells the language.

    Args:
        text: Any text.
        num_letters: About how many characters to return at most; positive.

    Returns:
        Up to `num_letters` characters without code, markup, addresses and digits. A text that
        begins with much of those is read on, up to eight times as far.
    """
    found = ""
    for reach in _REACHES:
        end = int(num_letters * reach)
        found = text[:end]
        if _MAY_BE_NOISE.search(found):
            found = _NOISE.sub(" ", found)
        found = _SPACES.sub(" ", found)
        # From the start each time: a block of code may have been cut.
        if len(found) >= num_letters * _ENOUGH or end >= len(text):
            break
    return found[:num_letters]


def is_plain(text: str, num_letters: int) -> bool:
    """Tell quickly whether a text has the same letters as its excerpt.

    Args:
        text: Any text.
        num_letters: As for `excerpt`.

    Returns:
        False if the text is longer than its excerpt, or may hold code, markup or addresses.
    """
    return len(text) <= num_letters and _MAY_HIDE_LETTERS.search(text) is None
