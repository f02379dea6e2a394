"""What a model that writes labels is asked: whole words, as many as it reads. No torch here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from tokenizers import Encoding

from hunmin.adapt.nlu.text_labels import PROMPT
from hunmin.adapt.nlu.utterances import word_offsets


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model is asked about a text.

    Args:
        ids: Token ids.
        truncated_at: Character of the text from which on nothing is read; None if all is.
    """

    ids: tuple[int, ...]
    truncated_at: int | None = None


def fit_prompt(encoded: Encoding, text: str, locale: str, room: int) -> Prompt:
    """Leave words at the end of a prompt out until it fits; what ends the prompt stays.

    Args:
        encoded: `text_labels.prompt_of` the text, with or without a separator after it.
        text: The text.
        locale: Its locale.
        room: Most tokens.

    Returns:
        The prompt; a word is read whole or not at all.
    """
    if len(encoded.ids) <= room:
        return Prompt(tuple(encoded.ids))
    words = word_offsets(text, locale)
    word_ends = len(PROMPT) - 1 + np.cumsum([end - start + 1 for start, end in words])
    ids, offsets = np.array(encoded.ids), np.array(encoded.offsets)
    is_text = offsets[:, 0] < word_ends[-1]
    num_kept = max(0, room - int((~is_text).sum()))
    # A character of several tokens has the same place in each: what is left out says where to cut.
    num_words = int(np.searchsorted(word_ends, offsets[num_kept, 0], side="right"))
    read_until = word_ends[num_words - 1] if num_words else len(PROMPT) - 1
    is_kept = is_text & (offsets[:, 1] <= read_until) & (np.arange(len(ids)) < num_kept)
    cut = words[num_words][0] if num_words < len(words) else len(text)
    return Prompt((*ids[is_kept].tolist(), *ids[~is_text].tolist()[:room]), cut)
