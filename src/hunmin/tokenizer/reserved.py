"""Tokens kept free in a vocabulary for what comes later: objectives, languages, tags.

A model's embedding has as many rows as its tokenizer has tokens, so a token that is missing when
the tokenizer is trained costs new shards and a new model. Encoding a text never gives one of these.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

MASK_TOKEN = "<|mask|>"
"""Stands for what is hidden: masked language modelling, text infilling."""
CONTINUE_TOKEN = "<|continue|>"
"""Asks an encoder-decoder to go on with a text; [CLM] of AlexaTM."""
NUM_SENTINELS = 100
"""As many spans of a text as can be told apart, and a final one; as many as T5 has."""

Purpose = Literal["mask", "continue", "spans", "languages"]
PURPOSES: tuple[Purpose, ...] = ("mask", "continue", "spans", "languages")


def sentinel_tokens() -> tuple[str, ...]:
    """Return the tokens that stand for spans, in the order of their use."""
    return tuple(f"<|span:{number}|>" for number in range(NUM_SENTINELS))


def language_token(language: str) -> str:
    """Return the token of a language.

    Args:
        language: Its tag (BCP 47).

    Returns:
        Its written form.
    """
    return f"<|lang:{language}|>"


def spare_tokens(count: int) -> tuple[str, ...]:
    """Return tokens without a meaning yet.

    Args:
        count: How many, >= 0.

    Returns:
        Their written forms.
    """
    return tuple(f"<|spare:{number}|>" for number in range(count))


def reserved_tokens(purposes: Collection[Purpose], languages: Collection[str]) -> tuple[str, ...]:
    """Return the tokens that some purposes need, always in the same order.

    Args:
        purposes: What for.
        languages: Tags of the languages that get a token, if they are among the purposes.

    Returns:
        Names, all different.
    """
    names = {
        "mask": (MASK_TOKEN,),
        "continue": (CONTINUE_TOKEN,),
        "spans": sentinel_tokens(),
        "languages": tuple(language_token(language) for language in sorted(set(languages))),
    }
    return tuple(name for purpose in PURPOSES if purpose in purposes for name in names[purpose])
