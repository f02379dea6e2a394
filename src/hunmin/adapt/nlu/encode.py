"""Texts to token ids, with the characters that each tag stands for. No torch here.

    text ─> form (written, lower, spoken) ─> prefix ids, tokens, suffix ids
                                                      └─> places: tokens that carry a tag

Every form keeps the number of characters, so that slots are found in the text as it was given.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from tokenizers import Encoding, Tokenizer

from hunmin.adapt.nlu.annotations import CharacterSpan
from hunmin.adapt.nlu.config import NluConfig, TextForm
from hunmin.adapt.nlu.tags import TagSet
from hunmin.adapt.nlu.utterances import word_offsets
from hunmin.core.errors import ArtifactKindError, CorruptArtifactError, InputError
from hunmin.text.languages import normalize_tag
from hunmin.tokenizer.exact import load_cutter
from hunmin.tokenizer.load import check_encodable

if TYPE_CHECKING:
    from hunmin.tokenizer.cutting import TextCutter

Integers = npt.NDArray[np.int64]

_WORD = re.compile(r"\S+")
# What belongs to a word or a number, as in hunmin.text.spoken.
_KEPT = re.compile(r"(?<=\w)['’ʼ](?=[^\W\d_])|(?<=\d)[.,:/](?=\d)|(?<=\d)%")


@dataclass(frozen=True, slots=True)
class EncodedUtterance:
    """One text as the model reads it.

    Args:
        text: The text as it was given.
        locale: Its locale; empty if unknown.
        ids: Token ids with those before and after the text, shape (T).
        places: Tokens that carry a tag, ascending, shape (P).
        starts: First character of `text` that each place stands for, shape (P).
        ends: The one after the last, shape (P); the ranges do not overlap.
        truncated_at: Character from which on nothing was read; None if all was.
    """

    text: str
    locale: str
    ids: Integers
    places: Integers
    starts: Integers
    ends: Integers
    truncated_at: int | None = None


class UtteranceEncoder:
    """Encodes texts for one model.

    Args:
        tokenizer: Any tokenizer of the library `tokenizers`.
        config: How the model reads texts.
        cutter: Cuts texts into parts that no token crosses; usually none.
    """

    def __init__(
        self, tokenizer: Tokenizer, config: NluConfig, cutter: TextCutter | None = None
    ) -> None:
        self.config = config
        self._tokenizer = tokenizer
        self._cutter = cutter
        self._num_text_tokens = config.max_tokens - len(config.prefix_ids) - len(config.suffix_ids)

    @classmethod
    def load(cls, folder: Path, config: NluConfig) -> UtteranceEncoder:
        """Open the tokenizer of a model folder.

        Args:
            folder: With tokenizer.json.
            config: How the model reads texts.

        Returns:
            The encoder.

        Raises:
            ArtifactKindError: The folder has no tokenizer.json.
            CorruptArtifactError: It cannot be read.
        """
        return cls(open_tokenizer(folder), config, load_cutter(folder))

    def encode(
        self, texts: Sequence[str], locales: Sequence[str] | str = ""
    ) -> list[EncodedUtterance]:
        """Encode texts.

        Args:
            texts: None empty.
            locales: The locale of each, or of all. Only models that tag the first token of each
                word need it, for languages written without spaces.

        Returns:
            One for each text.

        Raises:
            InputError: A text is empty, or a locale is no language tag.
            TextEncodingError: A text holds a lone surrogate.
        """
        if isinstance(locales, str):
            locales = [locales] * len(texts)
        for text in texts:
            check_text(text)
        for locale in set(locales) - {""}:
            normalize_tag(locale)
        return [
            self._place(text, locale, ids, offsets)
            for text, locale, (ids, offsets) in zip(
                texts, locales, self._tokens(texts), strict=True
            )
        ]

    def _tokens(self, texts: Sequence[str]) -> list[tuple[Integers, Integers]]:
        """Return ids, shape (N), and characters, shape (N, 2), of each text."""
        formed = [in_form(text, self.config.text_form) for text in texts]
        if self._cutter is None:
            found = self._tokenizer.encode_batch(formed, add_special_tokens=False)
            return [(_ids(one), _offsets(one)) for one in found]
        cut = self._cutter.cut(formed)
        found = self._tokenizer.encode_batch(cut, is_pretokenized=True, add_special_tokens=False)
        return [
            (_ids(one), _moved(_offsets(one), one, parts))
            for one, parts in zip(found, cut, strict=True)
        ]

    def _place(self, text: str, locale: str, ids: Integers, offsets: Integers) -> EncodedUtterance:
        room = self._num_text_tokens
        truncated_at = int(offsets[room - 1, 1]) if len(ids) > room else None
        config = self.config
        row = np.concatenate(
            [
                np.array(config.prefix_ids, dtype=np.int64),
                ids[:room],
                np.array(config.suffix_ids, dtype=np.int64),
            ]
        )
        if not len(row):
            # A text of which the tokenizer makes nothing, with nothing around it.
            row = np.array([config.pad_id], dtype=np.int64)
        places, starts, ends = _ranges(text, offsets[:room])
        if config.labelling == "first":
            words = word_offsets(text, locale)
            places, starts, ends = _first_of_words(words, places, starts, ends)
        places = places + len(config.prefix_ids)
        return EncodedUtterance(text, locale, row, places, starts, ends, truncated_at)


def open_tokenizer(folder: Path) -> Tokenizer:
    """Open the tokenizer.json of a folder, of any kind that `tokenizers` knows.

    Args:
        folder: With tokenizer.json.

    Returns:
        The tokenizer; names of special tokens in a text are text to it.

    Raises:
        ArtifactKindError: The folder has no tokenizer.json.
        CorruptArtifactError: It cannot be read.
    """
    file = folder / "tokenizer.json"
    if not file.is_file():
        raise ArtifactKindError(
            "this folder holds no tokenizer.json",
            where=folder,
            hint="name a model folder with its tokenizer; AutoTokenizer.save_pretrained writes one",
        )
    try:
        tokenizer = Tokenizer.from_file(str(file))
    # The library raises bare Exception for a file it cannot parse.
    except Exception as error:
        raise CorruptArtifactError(
            "the tokenizer cannot be read", where=file, given=str(error)[:200], hint="copy it again"
        ) from error
    tokenizer.encode_special_tokens = True
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def check_text(text: str) -> None:
    """Refuse a text without anything to understand.

    Args:
        text: An utterance.

    Raises:
        InputError: It is empty.
        TextEncodingError: It holds a lone surrogate.
    """
    check_encodable(text)
    if not text.strip():
        raise InputError(
            "an empty utterance",
            given=repr(text[:20]),
            allowed="at least one character that is not whitespace",
            hint="leave it out",
        )


def by_length(encoded: Sequence[EncodedUtterance], batch_size: int) -> Iterator[list[int]]:
    """Yield numbers of texts in batches of like length, the longest first: little is padding."""
    order = sorted(range(len(encoded)), key=lambda row: -len(encoded[row].ids))
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def pad_batch(
    encoded: Sequence[EncodedUtterance], pad_id: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Put encoded texts into one batch.

    Args:
        encoded: At least one.
        pad_id: Id that fills the rows on their right.

    Returns:
        input_ids and attention_mask (1 for tokens), int64, shape (B, T).
    """
    lengths = np.array([len(one.ids) for one in encoded])
    mask = np.arange(lengths.max()) < lengths[:, None]
    input_ids = np.full(mask.shape, pad_id, dtype=np.int64)
    input_ids[mask] = np.concatenate([one.ids for one in encoded])
    return input_ids, mask.astype(np.int64)


def tag_places(
    encoded: EncodedUtterance, spans: Sequence[CharacterSpan], tags: TagSet
) -> Integers | None:
    """Return the tag of each place.

    Args:
        encoded: The text.
        spans: Its slots, in order, of types that have tags.
        tags: The tags.

    Returns:
        Shape (P); None if two slots would need the same place. What lies beyond the tokens that
        are read has no tag.
    """
    found = np.zeros(len(encoded.places), dtype=np.int64)
    for span in spans:
        first = int(np.searchsorted(encoded.ends, span.start, side="right"))
        end = int(np.searchsorted(encoded.starts, span.end, side="left"))
        if found[first:end].any():
            return None
        begin = 1 + 2 * tags.types.index(span.type)
        found[first:end] = begin + 1
        found[first : min(first + 1, end)] = begin
    return found


class _SpokenTable(dict[int, str]):
    """Translates characters one for one: to small letters, and punctuation to spaces."""

    def __init__(self, *, keep_punctuation: bool) -> None:
        super().__init__()
        self.keep_punctuation = keep_punctuation

    def __missing__(self, code: int) -> str:
        character = chr(code)
        small = character.lower()
        # İ would become two characters; i is what a Turkish recogniser writes, too.
        made = small if len(small) == 1 else small[0]
        if not self.keep_punctuation and unicodedata.category(character)[0] in "PS":
            made = " "
        self[code] = made
        return made


_LOWER, _SPOKEN = _SpokenTable(keep_punctuation=True), _SpokenTable(keep_punctuation=False)


def in_form(text: str, form: TextForm) -> str:
    """Write a text in the form that a model was trained on.

    Args:
        text: Any text.
        form: `written` as it is; `lower` in small letters; `spoken` also without punctuation.

    Returns:
        As many characters as the text has, each in its old place.

    Note:
        Unlike `hunmin.text.spoken`, numbers stay digits and no space is taken away: slots must be
        found in the text that was given.
    """
    if form == "written":
        return text
    if form == "lower":
        return text.translate(_LOWER)
    formed = text.translate(_SPOKEN)
    kept = [(found.start(), found[0]) for found in _KEPT.finditer(text)]
    if not kept:
        return formed
    characters = list(formed)
    for place, mark in kept:
        characters[place] = mark
    return "".join(characters)


def _ids(encoding: Encoding) -> Integers:
    return np.array(encoding.ids, dtype=np.int64)


def _offsets(encoding: Encoding) -> Integers:
    return np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2)


def _moved(offsets: Integers, encoding: Encoding, parts: Sequence[str]) -> Integers:
    """Offsets within parts as offsets within the text."""
    begins = np.cumsum([0, *(len(part) for part in parts)])
    moved: Integers = offsets + begins[np.array(encoding.word_ids, dtype=np.int64)][:, None]
    return moved


def _ranges(text: str, offsets: Integers) -> tuple[Integers, Integers, Integers]:
    """Return tokens that stand for characters, and these without whitespace and overlap.

    A token may hold a part of a character (bytes): the first such token stands for it.
    """
    inside = np.zeros(len(text), dtype=bool)
    for found in _WORD.finditer(text):
        inside[found.start() : found.end()] = True
    visible = np.flatnonzero(inside)
    first = np.searchsorted(visible, offsets[:, 0])
    end = np.searchsorted(visible, offsets[:, 1])
    before = np.concatenate([[0], np.maximum.accumulate(end)[:-1]]) if len(end) else end
    first = np.maximum(first, before)
    places = np.flatnonzero(first < end)
    return places, visible[first[places]], visible[end[places] - 1] + 1


def _first_of_words(
    words: Sequence[tuple[int, int]], places: Integers, starts: Integers, ends: Integers
) -> tuple[Integers, Integers, Integers]:
    """Keep the token that holds the first character of each word, for all of the word.

    A token of several words (Japanese, where each character is one) stands for all of them.
    """
    bounds = np.array(words, dtype=np.int64).reshape(-1, 2)
    token = np.searchsorted(ends, bounds[:, 0], side="right")
    read = token < len(places)
    read[read] &= starts[token[read]] < bounds[read, 1]
    bounds, token = bounds[read], token[read]
    kept, first_word = np.unique(token, return_index=True)
    last_word = np.append(first_word[1:], len(token)) - 1
    return places[kept], bounds[first_word, 0], bounds[last_word, 1]
