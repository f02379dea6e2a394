"""TextTokenizer: text to ids and back, for any `tokenizer.json` whose entries stand for bytes."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from hunmin.core.artifact import MANIFEST_NAME, load_artifact, read_manifest
from hunmin.core.errors import (
    ArtifactKindError,
    CorruptArtifactError,
    InputError,
    MissingInputError,
    TextEncodingError,
)
from hunmin.core.hashing import stable_hash
from hunmin.tokenizer.bulk import BulkEncoder, Engine, TokenIds, limit_texts
from hunmin.tokenizer.cutting import TextCutter
from hunmin.tokenizer.exact import cutter_files, load_cutter
from hunmin.tokenizer.pieces import identifying_parts, read_spelling
from hunmin.tokenizer.reserved import MASK_TOKEN
from hunmin.tokenizer.spec import BOUNDARY_TOKEN, PAD_TOKEN

# The library's thread pool does not survive fork(); we parallelise over processes ourselves.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
_NO_IDS = np.empty(0, dtype=np.uint32)


class TextTokenizer:
    """Encodes and decodes text; knows the special ids and the bytes of every token.

    Args:
        definition: Content of `tokenizer.json`.
        boundary_token: The token between documents.
        pad_token: The token that fills batches.
        mask_token: The token that hides others; it may be missing.
        engine: What `encode_batch` uses; None lets a self-test on its first texts decide.
        cutter: Cuts texts into parts that no token crosses, see `exact.py`; usually none.

    Raises:
        ArtifactKindError: The entries do not stand for bytes, or the two tokens are missing.
    """

    def __init__(
        self,
        definition: str,
        *,
        boundary_token: str = BOUNDARY_TOKEN,
        pad_token: str = PAD_TOKEN,
        mask_token: str = MASK_TOKEN,
        engine: Engine | None = None,
        cutter: TextCutter | None = None,
    ) -> None:
        self.definition = definition
        self.engine = engine
        self.cutter = cutter
        self._names = (boundary_token, pad_token, mask_token)
        self._tokenizer = Tokenizer.from_str(definition)
        # Special tokens written out in a text are text: nobody can smuggle in a boundary.
        self._tokenizer.encode_special_tokens = True
        self._parsed: dict[str, Any] = json.loads(definition)
        self._bulk = BulkEncoder(self._tokenizer, self._parsed, engine)
        self.special_ids = frozenset(
            int(token["id"]) for token in self._parsed["added_tokens"] if token["special"]
        )
        self._spelling = read_spelling(self._parsed)
        self.boundary_id = self._required_id(boundary_token)
        self.pad_id = self._required_id(pad_token)
        self.mask_id = self.token_id(mask_token)

    def with_engine(self, engine: Engine) -> TextTokenizer:
        """Return a tokenizer whose `encode_batch` uses this engine without a self-test."""
        other = object.__new__(type(self))
        # All else is shared, since parsing a large vocabulary takes seconds.
        other.__dict__ |= self.__dict__
        other.engine = engine
        other._bulk = self._bulk.with_engine(engine)
        return other

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self.definition, *self._names, self.engine, self.cutter)

    @property
    def parsed(self) -> Mapping[str, Any]:
        """The parsed content of `tokenizer.json`; not to be changed."""
        return self._parsed

    @property
    def size(self) -> int:
        """Number of ids, special tokens included."""
        return len(self._bytes_by_id)

    @property
    def id_dtype(self) -> np.dtype[Any]:
        """The smallest unsigned integer type for ids on disk: uint16 or uint32."""
        return np.dtype(np.uint16 if self.size <= 2**16 else np.uint32)

    @cached_property
    def digest(self) -> str:
        """Identity of the mapping from text to ids; a re-saved copy has the same one."""
        cutter = [] if self.cutter is None else [self.cutter.identity]
        return stable_hash(identifying_parts(self._parsed) + cutter)

    def encode(self, text: str) -> list[int]:
        """Return the ids of a text; special tokens are never added or recognised.

        Args:
            text: Any text without lone surrogates.

        Returns:
            Ids; an empty text has none.

        Raises:
            TextEncodingError: The text holds a lone surrogate, which UTF-8 cannot express.
        """
        check_encodable(text)
        if self.cutter is None:
            return list(self._tokenizer.encode(text, add_special_tokens=False).ids)
        (parts,) = self.cutter.cut([text])
        return list(self._tokenizer.encode(parts, None, True, add_special_tokens=False).ids)

    def encode_batch(self, texts: Sequence[str]) -> list[TokenIds]:
        """Return the ids of many texts, as fast as this machine can.

        Args:
            texts: Texts without lone surrogates.

        Returns:
            One uint32 array per text; the same ids as `encode`.

        Raises:
            TextEncodingError: A text holds a lone surrogate.
        """
        for text in texts:
            check_encodable(text)
        if self.cutter is None:
            return self._bulk.encode(texts)
        parts = self.cutter.cut(texts)
        rows = iter(self._bulk.encode(list(chain.from_iterable(parts))))
        return [np.concatenate([_NO_IDS, *islice(rows, len(some))]) for some in parts]

    def choose_engine(self, texts: Sequence[str]) -> Engine:
        """Return the bulk engine that gives the right ids for these texts, see `bulk.py`."""
        return self._bulk.choose_engine(self._parts(limit_texts(texts)))

    def engines_agree(self, texts: Sequence[str]) -> bool:
        """Tell whether tiktoken and tokenizers give the same ids for these texts."""
        return self._bulk.agrees(self._parts(texts))

    def _parts(self, texts: Sequence[str]) -> Sequence[str]:
        return texts if self.cutter is None else list(chain.from_iterable(self.cutter.cut(texts)))

    def decode(self, ids: Iterable[int], *, skip_special_tokens: bool = True) -> str:
        """Return the text of some ids; bytes that are no UTF-8 become U+FFFD.

        Args:
            ids: Ids in [0, size).
            skip_special_tokens: Leave special tokens out instead of writing their names.

        Returns:
            The text.

        Raises:
            InputError: An id is outside the vocabulary.

        Note:
            A space that the tokenizer puts before every text (Llama 2, Mistral) is taken away.
        """
        data = self.decode_bytes(ids, skip_special_tokens=skip_special_tokens)
        if self._spelling.adds_space:
            data = data.removeprefix(b" ")
        return data.decode("utf-8", errors="replace")

    def decode_bytes(self, ids: Iterable[int], *, skip_special_tokens: bool = True) -> bytes:
        """Return the bytes of some ids, which may end within a character.

        Args:
            ids: Ids in [0, size).
            skip_special_tokens: Leave special tokens out instead of writing their names.

        Returns:
            The bytes.

        Raises:
            InputError: An id is outside the vocabulary.
        """
        skipped = self.special_ids if skip_special_tokens else frozenset()
        return b"".join(self.token_bytes(token) for token in ids if token not in skipped)

    def token_bytes(self, token: int) -> bytes:
        """Return the bytes a token stands for; for a special token those of its name.

        Args:
            token: Id in [0, size).

        Returns:
            At least one byte; may be part of a character.

        Raises:
            InputError: The id is outside the vocabulary.
        """
        if not 0 <= token < len(self._bytes_by_id):
            raise InputError(
                "this id is not in the vocabulary",
                given=token,
                allowed=f"0 to {len(self._bytes_by_id) - 1}",
                hint="decode with the tokenizer that made the ids",
            )
        return self._bytes_by_id[token]

    def token_id(self, token: str) -> int | None:
        """Return the id of a vocabulary entry or special token by its written form, or None."""
        found: int | None = self._tokenizer.token_to_id(token)
        return found

    @cached_property
    def _bytes_by_id(self) -> list[bytes]:
        by_id = [b""] * (max(self._tokenizer.get_vocab(with_added_tokens=True).values()) + 1)
        for piece, token in self._tokenizer.get_vocab(with_added_tokens=False).items():
            if token not in self._added_ids:
                by_id[token] = self._spelling.to_bytes(piece)
        for added in self._parsed["added_tokens"]:
            by_id[added["id"]] = added["content"].encode()
        return by_id

    @cached_property
    def _added_ids(self) -> frozenset[int]:
        return frozenset(int(token["id"]) for token in self._parsed["added_tokens"])

    def _required_id(self, token: str) -> int:
        found = self.token_id(token)
        if found is None:
            raise ArtifactKindError(
                "the tokenizer lacks a special token that is needed",
                given=f"special tokens {[t['content'] for t in self._parsed['added_tokens']]}",
                allowed=f"one named {token}",
                hint="train one with `hunmin tokenizer`, or add the token to the folder",
            )
        return found


def _rebuild(
    definition: str,
    boundary_token: str,
    pad_token: str,
    mask_token: str,
    engine: Engine | None,
    cutter: TextCutter | None,
) -> TextTokenizer:
    return TextTokenizer(
        definition,
        boundary_token=boundary_token,
        pad_token=pad_token,
        mask_token=mask_token,
        engine=engine,
        cutter=cutter,
    )


def check_encodable(text: str) -> None:
    """Refuse text that UTF-8 cannot express.

    Args:
        text: Any text.

    Raises:
        TextEncodingError: It holds a lone surrogate.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise TextEncodingError(
            "the text holds a lone surrogate, which is not a character",
            given=f"U+{ord(text[error.start]):04X} at character {error.start}",
            hint="the text was decoded with errors='surrogateescape' or cut inside a pair; "
            "decode it again as UTF-8",
        ) from error


def load_tokenizer(path: Path) -> TextTokenizer:
    """Open a tokenizer artifact, a model folder, or any folder whose tokenizer is understood.

    Args:
        path: Folder with `tokenizer.json`.

    Returns:
        The tokenizer.

    Raises:
        MissingInputError: There is no such folder.
        ArtifactKindError: It holds no tokenizer whose entries stand for bytes.
        CorruptArtifactError: A file differs from its checksum or cannot be read.
        MissingExtraError: It cuts texts with an analyser that is not installed.
    """
    if (path / MANIFEST_NAME).is_file() and read_manifest(path).kind == "tokenizer":
        load_artifact(path, "tokenizer")
    file = path / "tokenizer.json"
    if not path.is_dir():
        raise MissingInputError(
            "there is no such tokenizer folder",
            where=path,
            hint="run `hunmin tokenizer RECIPE`, or check the path",
        )
    if not file.is_file():
        raise ArtifactKindError(
            "this folder holds no tokenizer.json",
            where=path,
            hint="name the folder of a tokenizer or of a model exported with its tokenizer",
        )
    names = _special_token_names(path / "tokenizer_config.json")
    return _parse(file, *names, load_cutter(path))


def _parse(
    file: Path, boundary: str, pad: str, mask: str, cutter: TextCutter | None
) -> TextTokenizer:
    try:
        definition = file.read_text(encoding="utf-8")
        return TextTokenizer(
            definition, boundary_token=boundary, pad_token=pad, mask_token=mask, cutter=cutter
        )
    except InputError as error:
        error.where = error.where or file
        raise
    # The library raises bare Exception for a file it cannot parse.
    except Exception as error:
        raise CorruptArtifactError(
            "the tokenizer cannot be read",
            where=file,
            given=str(error)[:200],
            hint="make the tokenizer again, or copy tokenizer.json again",
        ) from error


def _special_token_names(file: Path) -> tuple[str, str, str]:
    """Names of the boundary, pad and mask tokens: ours, or what a foreign folder declares."""
    if not file.is_file():
        return BOUNDARY_TOKEN, PAD_TOKEN, MASK_TOKEN
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CorruptArtifactError("this file is not JSON", where=file) from error
    boundary = _token_text(config.get("eos_token")) or BOUNDARY_TOKEN
    pad = _token_text(config.get("pad_token")) or boundary
    return boundary, pad, _token_text(config.get("mask_token")) or MASK_TOKEN


def _token_text(value: Any) -> str | None:
    text = value.get("content") if isinstance(value, dict) else value
    return text if isinstance(text, str) else None


def copy_tokenizer(source: Path, target: Path) -> None:
    """Copy the files of a tokenizer, and of the analyser that cuts its texts, if it has one.

    Args:
        source: Folder with tokenizer.json.
        target: An existing folder.

    Raises:
        ArtifactKindError: The folder holds no tokenizer.
    """
    if not (source / "tokenizer.json").is_file():
        raise ArtifactKindError(
            "this folder holds no tokenizer (no tokenizer.json)",
            where=source,
            hint="name the folder of a tokenizer, such as runs/quickstart/tokenizer",
        )
    for name in (*_FILES, *cutter_files(source)):
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)
