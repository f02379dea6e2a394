"""The byte-level `tokenizer.json` of any model, and the same one with more pieces."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from hunmin.core.errors import (
    ArtifactKindError,
    CorruptArtifactError,
    MissingInputError,
    suggest_folder,
)
from hunmin.tokenizer.alphabet import byte_to_character
from hunmin.tokenizer.exact import CUTTER_FILE

Merge = tuple[str, str]
# Bytes that no UTF-8 text holds; some vocabularies leave them out.
_NEVER_IN_UTF8 = frozenset({0xC0, 0xC1, *range(0xF5, 0x100)})


class BaseTokenizer:
    """A byte-level BPE tokenizer with its own split, normalizer and added tokens.

    Args:
        definition: Content of `tokenizer.json`.
        where: How messages call it.

    Raises:
        ArtifactKindError: It is no byte-level BPE, or one that cannot be extended.
        CorruptArtifactError: It cannot be read.
    """

    def __init__(self, definition: str, where: str | Path = "tokenizer.json") -> None:
        try:
            self._parsed: dict[str, Any] = json.loads(definition)
            self._tokenizer = Tokenizer.from_str(definition)
        # The library raises bare Exception for a definition it cannot parse.
        except Exception as error:
            raise CorruptArtifactError(
                "the tokenizer cannot be read",
                where=where,
                given=str(error)[:200],
                hint="copy tokenizer.json again",
            ) from error
        _check_kind(self._parsed, where)
        self._tokenizer.encode_special_tokens = True
        self.definition = definition
        self.where = where

    @property
    def vocabulary(self) -> Mapping[str, int]:
        """Ids by piece as the model writes them down, without added tokens that it lacks."""
        vocabulary: dict[str, int] = self._parsed["model"]["vocab"]
        return vocabulary

    @cached_property
    def added(self) -> Mapping[str, int]:
        """Ids of special and other added tokens by their text."""
        return {token["content"]: int(token["id"]) for token in self._parsed["added_tokens"]}

    @cached_property
    def pieces(self) -> Mapping[int, str]:
        """Pieces of the model by id, in the byte alphabet, without added tokens."""
        added = frozenset(self.added.values())
        return {number: piece for piece, number in self.vocabulary.items() if number not in added}

    @cached_property
    def num_ids(self) -> int:
        """One more than the highest id, that of an added token included."""
        return max([*self.vocabulary.values(), *self.added.values()]) + 1

    def words(self, text: str) -> list[str]:
        """Return what merges work on: the text normalized and split, in the byte alphabet.

        Args:
            text: Any text without lone surrogates; added tokens in it are taken as text.

        Returns:
            The words; joined they are the bytes of the normalized text.
        """
        if self._tokenizer.normalizer is not None:
            text = self._tokenizer.normalizer.normalize_str(text)
        return [word for word, _ in self._tokenizer.pre_tokenizer.pre_tokenize_str(text)]

    def encode_word(self, word: str) -> list[int]:
        """Return the ids of one word in the byte alphabet; also of a piece by itself."""
        return [token.id for token in self._tokenizer.model.tokenize(word)]

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of texts without special tokens around them."""
        encodings = self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [list(encoding.ids) for encoding in encodings]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids, special tokens included."""
        text: str = self._tokenizer.decode(list(ids), skip_special_tokens=False)
        return text

    def extended(self, pieces: Iterable[str], merges: Iterable[Merge]) -> BaseTokenizer:
        """Return the tokenizer with more pieces.

        Args:
            pieces: New pieces in the byte alphabet; their ids follow the highest one.
            merges: New merges, tried after all old ones.

        Returns:
            A tokenizer in which all old ids are what they were.

        Raises:
            ArtifactKindError: An added token could be produced by text that spells it.

        Note:
            Added tokens above the vocabulary become entries of it with the ids they have: the
            library numbers added tokens that the vocabulary lacks by itself when it reads the
            file, and would give them the ids of new pieces.
        """
        self._check_added_tokens()
        model = dict(self._parsed["model"])
        vocabulary = {**self.vocabulary, **self.added}
        vocabulary.update({piece: self.num_ids + rank for rank, piece in enumerate(pieces)})
        model["vocab"] = dict(sorted(vocabulary.items(), key=lambda entry: entry[1]))
        as_text = bool(model["merges"]) and isinstance(model["merges"][0], str)
        model["merges"] = [
            *model["merges"],
            *(" ".join(pair) if as_text else list(pair) for pair in merges),
        ]
        parsed = {**self._parsed, "model": model}
        return BaseTokenizer(json.dumps(parsed, ensure_ascii=False, indent=2), self.where)

    def _check_added_tokens(self) -> None:
        """Refuse names that are words: a vocabulary that ignores merges would yield their ids."""
        if not self._parsed["model"].get("ignore_merges"):
            return
        outside = [name for name in self.added if name not in self.vocabulary]
        words = [name for name in outside if self.words(name) == [name]]
        if words:
            raise ArtifactKindError(
                "this tokenizer cannot be extended: text could spell its added tokens",
                where=self.where,
                given=f"added tokens {', '.join(words)}, model with ignore_merges",
                allowed="names with punctuation, such as <|pad|>",
            )


def load_base(path: Path) -> BaseTokenizer:
    """Open the tokenizer of a tokenizer or model folder.

    Args:
        path: Folder with a byte-level `tokenizer.json`.

    Returns:
        The tokenizer.

    Raises:
        MissingInputError: There is no such folder.
        ArtifactKindError: It holds no tokenizer.json, or one that cannot be extended.
        CorruptArtifactError: The file cannot be read.
    """
    if not path.is_dir():
        raise MissingInputError(
            f"there is no such folder.{suggest_folder(path)}",
            where=path,
            hint="name a model or tokenizer folder in the Hugging Face layout",
        )
    file = path / "tokenizer.json"
    if not file.is_file():
        raise ArtifactKindError(
            "this folder holds no tokenizer.json",
            where=path,
            hint="folders with vocab.json and merges.txt alone are written anew by "
            "AutoTokenizer.from_pretrained(FOLDER).save_pretrained(NEW) of transformers",
        )
    if (path / CUTTER_FILE).is_file():
        raise ArtifactKindError(
            "this tokenizer has an analyser in use, and its ids would change without it",
            where=path,
            given=f"a folder with {CUTTER_FILE}",
            allowed="a tokenizer that encodes whole words",
            hint="train one of kind morpheme-bpe, which needs no analyser in use",
        )
    try:
        return BaseTokenizer(file.read_text(encoding="utf-8"), file)
    except UnicodeDecodeError as error:
        raise CorruptArtifactError(
            "the tokenizer is not UTF-8", where=file, hint="copy tokenizer.json again"
        ) from error


def _check_kind(parsed: Mapping[str, Any], where: str | Path) -> None:
    problem = _why_not(parsed)
    if problem is not None:
        raise ArtifactKindError(
            f"this tokenizer cannot be extended: {problem}",
            where=where,
            given=f"model {parsed['model'].get('type')}, decoder {_kinds(parsed.get('decoder'))}",
            allowed="byte-level BPE, as in GPT-2, Llama 3, Qwen, Mistral Nemo, DeepSeek, OLMo 2",
            hint="take a base model with a byte-level tokenizer, or train a model of your own",
        )


def _why_not(parsed: Mapping[str, Any]) -> str | None:
    model = parsed["model"]
    if model.get("type") != "BPE":
        return "its model is not BPE"
    if model.get("byte_fallback") or "ByteLevel" not in _kinds(parsed.get("pre_tokenizer")):
        return "its pieces are characters, not bytes (SentencePiece, as in Llama 2 and Gemma)"
    if model.get("dropout"):
        return "it drops merges by chance, so that a text has no fixed ids"
    if model.get("continuing_subword_prefix") or model.get("end_of_word_suffix"):
        return "its pieces mark the inside or the end of a word"
    missing = [
        byte
        for byte, character in enumerate(byte_to_character())
        if character not in model["vocab"] and byte not in _NEVER_IN_UTF8
    ]
    if missing:
        return f"{len(missing)} bytes are missing from its vocabulary"
    return None


def _kinds(component: Mapping[str, Any] | None) -> list[str]:
    """Return the types of a component and of what it is made of."""
    if component is None:
        return []
    parts = component.get("pretokenizers") or component.get("decoders") or []
    return [str(component.get("type")), *(kind for part in parts for kind in _kinds(part))]
