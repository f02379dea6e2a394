"""How text is cut into words, which merges do not leave: regexes for the libraries that run them.

`gpt-2` is the regex that every loader knows. It takes a word for a run of letters, and marks are no
letters: it cuts Hindi, Telugu or Thai at every vowel sign. `marks` keeps them with their letter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tokenizers import Regex, pre_tokenizers

from hunmin.core.errors import ArtifactKindError

SplitName = Literal["gpt-2", "marks"]

_STOCK = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}
# Letters with their marks and joiners. A mark that follows no letter is none of a word: a variation
# selector belongs to its emoji.
_WORDS: dict[SplitName, str] = {
    "gpt-2": r"\p{L}+",
    "marks": r"\p{L}[\p{L}\p{M}\x{200C}\x{200D}]*",
}


@dataclass(frozen=True)
class WordSplit:
    """A way to cut text into words.

    Args:
        pattern: Regex for `tokenizers`; each match is a word.
        fast_pattern: The same for tiktoken, with possessive quantifiers where they cannot change
            the result: long runs then need no backtracking.
        safe_cut: Where a long text may be cut because a word ends there whatever follows.
    """

    pattern: str
    fast_pattern: str
    safe_cut: re.Pattern[str]

    def splitter(self) -> pre_tokenizers.PreTokenizer:
        """Return the step that cuts a text into words."""
        return pre_tokenizers.Split(Regex(self.pattern), "isolated")

    def byte_level(self) -> pre_tokenizers.PreTokenizer:
        """Return the steps that cut a text into words and write these in bytes."""
        if self == GPT2_SPLIT:
            return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
        in_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        return pre_tokenizers.Sequence([self.splitter(), in_bytes])


def word_split(name: SplitName, *, superwords: bool = False) -> WordSplit:
    """Return a way to cut text into words.

    Args:
        name: What a word is.
        superwords: Words between which there is nothing but a space stay together, so that
            merges may cross the spaces.

    Returns:
        The split.
    """
    word = _WORDS[name]
    possessive = re.sub(r"([+*])$", r"\1+", word)
    # No word has white space after its last letter; with superwords a space may join the next.
    safe_cut = re.compile(r"(?<=\w)(?=\n)" if superwords else r"(?<=\w)(?=[ \n])")
    if superwords:
        word, possessive = f"{word}(?: {word})*", f"{possessive}(?: {possessive})*+"
    return WordSplit(
        rf"'s|'t|'re|'ve|'m|'ll|'d| ?{word}| ?\p{{N}}+| ?[^\s\p{{L}}\p{{N}}]+|\s+(?!\S)|\s+",
        rf"'(?:[sdmt]|ll|ve|re)| ?{possessive}| ?\p{{N}}++| ?[^\s\p{{L}}\p{{N}}]++"
        r"|\s++$|\s+(?!\S)|\s",
        safe_cut,
    )


GPT2_SPLIT = word_split("gpt-2")
_KNOWN = [word_split(name, superwords=spanning) for name in _WORDS for spanning in (False, True)]


def find_split(definition: Mapping[str, Any]) -> WordSplit | None:
    """Find out which of these ways a tokenizer uses.

    Args:
        definition: Parsed content of `tokenizer.json`.

    Returns:
        The split; None if it is another one, or puts something before a text.
    """
    steps = definition.get("pre_tokenizer") or {}
    if all(steps.get(key) == value for key, value in _STOCK.items()):
        return GPT2_SPLIT
    return next((split for split in _KNOWN if _is_written_as(steps, split)), None)


def read_split(definition: Mapping[str, Any]) -> WordSplit:
    """Return which of these ways a tokenizer uses.

    Args:
        definition: Parsed content of `tokenizer.json`.

    Returns:
        The split.

    Raises:
        ArtifactKindError: It is none of them.
    """
    split = find_split(definition)
    if split is None:
        raise ArtifactKindError(
            "this tokenizer cuts text into words in a way that hunmin does not know",
            given=definition.get("pre_tokenizer"),
            allowed=f"the splits {' and '.join(_WORDS)}, with superwords or without",
        )
    return split


def _is_written_as(steps: Mapping[str, Any], split: WordSplit) -> bool:
    if steps.get("type") != "Sequence" or len(steps["pretokenizers"]) != 2:
        return False
    cut, in_bytes = steps["pretokenizers"]
    expected = {"type": "Split", "behavior": "Isolated", "invert": False}
    return (
        cut == {**expected, "pattern": {"Regex": split.pattern}}
        and in_bytes.get("type") == "ByteLevel"
        and not in_bytes["add_prefix_space"]
        and not in_bytes["use_regex"]
    )
