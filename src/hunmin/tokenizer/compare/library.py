"""Any `tokenizer.json` as a subject, through the `tokenizers` library."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate, chain
from typing import Any

import numpy as np
from tokenizers import Encoding, Tokenizer

from hunmin.core.hashing import stable_hash
from hunmin.tokenizer.compare.subject import EncodeTexts, Flags, Integers, Tokens
from hunmin.tokenizer.cutting import TextCutter
from hunmin.tokenizer.pieces import BYTE_ENTRIES

BYTE_TOKENS = frozenset(f"<0x{byte:02X}>" for byte in range(256))

WRITTEN_SPACES = ("▁", "Ġ")


class LibrarySubject:
    """A tokenizer that the `tokenizers` library runs.

    Args:
        name: What it is called in the report.
        definition: Content of `tokenizer.json`.
        bulk: hunmin's own way to encode many texts, if it takes this tokenizer.
        cutter: Cuts texts into parts that are encoded one by one, such as an analyser.
    """

    def __init__(
        self,
        name: str,
        definition: str,
        *,
        bulk: EncodeTexts | None = None,
        cutter: TextCutter | None = None,
    ) -> None:
        self.name = name
        self._parsed: dict[str, Any] = json.loads(definition)
        self._tokenizer = Tokenizer.from_str(definition)
        self._tokenizer.encode_special_tokens = True
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._bulk, self._cutter = bulk, cutter
        cutters = [] if cutter is None else [cutter.identity]
        self.digest = stable_hash([self._parsed, *cutters])
        self.vocab_size: int = self._tokenizer.get_vocab_size(with_added_tokens=True)
        self._unknown, self._bytes = self._flagged_ids()
        self._spaces = {self._tokenizer.token_to_id(space) for space in WRITTEN_SPACES} - {None}

    @property
    def kind(self) -> str:
        """Its model, and how it writes bytes and spaces."""
        model = self._parsed["model"]
        parts = [str(model.get("type") or "unknown model")]
        if "ByteLevel" in _types(self._parsed.get("pre_tokenizer")):
            parts.append("byte-level")
        if "Metaspace" in _types(self._parsed.get("pre_tokenizer")):
            parts.append("Metaspace")
        if model.get("byte_fallback"):
            parts.append("byte fallback")
        if self._cutter is not None:
            parts.append("cuts before encoding")
        return ", ".join(parts)

    @property
    def engines(self) -> Mapping[str, EncodeTexts]:
        """The library's `encode_batch`, and hunmin's bulk path where there is one."""
        engines: dict[str, EncodeTexts] = {"tokenizers": self._cut_and_encode}
        return engines | ({"bulk": self._bulk} if self._bulk else {})

    def encode(self, texts: Sequence[str]) -> Tokens:
        """Return the tokens of texts; special tokens are neither added nor recognised."""
        if self._cutter is None:
            return self._encode_whole(texts)
        parts = self._cutter.cut(texts)
        return _join_parts(self._encode_whole([*chain.from_iterable(parts)]), parts)

    def _encode_whole(self, texts: Sequence[str]) -> Tokens:
        encodings = self._encode_batch(texts)
        ids = np.fromiter(chain.from_iterable(e.ids for e in encodings), np.int64)
        spans = chain.from_iterable(chain.from_iterable(e.offsets) for e in encodings)
        columns = np.fromiter(spans, np.int64).reshape(-1, 2)
        offsets = np.array([0, *accumulate(len(e) for e in encodings)], np.int64)
        self._shrink_inserted_spaces(ids, columns, offsets, texts)
        return Tokens(
            ids=ids,
            starts=columns[:, 0],
            ends=columns[:, 1],
            offsets=offsets,
            unknown=self._unknown[ids],
            byte_fallback=self._bytes[ids],
        )

    def decode(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """Return the text of each sequence of ids; unknown text shows as the unknown token."""
        texts: list[str] = self._tokenizer.decode_batch(
            [list(sequence) for sequence in ids], skip_special_tokens=False
        )
        return texts

    def _cut_and_encode(self, texts: Sequence[str]) -> list[Encoding]:
        if self._cutter is None:
            return self._encode_batch(texts)
        return self._encode_batch([*chain.from_iterable(self._cutter.cut(texts))])

    def _encode_batch(self, texts: Sequence[str]) -> list[Encoding]:
        found: list[Encoding] = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return found

    def _shrink_inserted_spaces(
        self, ids: Integers, spans: Integers, offsets: Integers, texts: Sequence[str]
    ) -> None:
        """A space that the tokenizer puts before a text gets the span of the first character."""
        for first, last, text in zip(offsets[:-1], offsets[1:], texts, strict=True):
            if first < last and int(ids[first]) in self._spaces and not text[:1].isspace():
                spans[first] = 0

    def _flagged_ids(self) -> tuple[Flags, Flags]:
        """Return for each id whether it is the unknown token, and whether it spells a byte."""
        vocabulary = self._tokenizer.get_vocab(with_added_tokens=True)
        size = max(vocabulary.values(), default=-1) + 1
        unknown, spelled = np.zeros(size, np.bool_), np.zeros(size, np.bool_)
        model = self._parsed["model"]
        token = model.get("unk_token")
        number = vocabulary.get(token) if token is not None else model.get("unk_id")
        if number is not None:
            unknown[number] = True
        if model.get("byte_fallback"):
            spelled[[vocabulary[name] for name in BYTE_ENTRIES if name in vocabulary]] = True
        return unknown, spelled


def _types(part: Mapping[str, Any] | None) -> set[str]:
    """Return the types of a pre-tokenizer and of those it is made of."""
    if part is None:
        return set()
    inner = part.get("pretokenizers") or ()
    return {str(part.get("type"))}.union(*(_types(one) for one in inner))


def _join_parts(tokens: Tokens, parts: Sequence[Sequence[str]]) -> Tokens:
    """Give tokens of parts the offsets they have in the texts that the parts make up."""
    shifts = [
        shift for some in parts if some for shift in accumulate(map(len, some[:-1]), initial=0)
    ]
    shift = np.array(shifts, np.int64)[tokens.text_numbers]
    first_parts = np.array([0, *accumulate(len(some) for some in parts)], np.int64)
    return replace(
        tokens,
        starts=tokens.starts + shift,
        ends=tokens.ends + shift,
        offsets=tokens.offsets[first_parts],
    )
