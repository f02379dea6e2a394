"""The tokens artifact: what its manifest says, and circular streams over its shards.

Every document lies in a shard as its boundary token followed by its own tokens. Shards are plain
little-endian arrays of uint16 or uint32 (`ko-00000.bin`) beside an index of their documents
(`ko-00000.idx`, see `index.py`): a pair that Megatron opens as it is.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from hunmin.core.artifact import Artifact, load_artifact
from hunmin.core.errors import ArtifactMismatchError, CorruptArtifactError, EmptyCorpusError
from hunmin.core.spec import Spec
from hunmin.corpus.documents import Split
from hunmin.tokenizer.load import TextTokenizer

TOKENS_KIND = "tokens"

_verified: set[tuple[Path, str]] = set()


class ShardFacts(Spec):
    """One shard."""

    file: str
    """Path of its `.bin` inside the artifact."""
    tokens: int
    """Tokens, boundary tokens included."""
    documents: int
    """Documents."""


class GroupFacts(Spec):
    """One group of one split."""

    tokens: int
    """Tokens, boundary tokens included."""
    documents: int
    """Documents."""
    bytes: int
    """UTF-8 bytes of the documents' text."""
    shards: tuple[ShardFacts, ...]
    """Its shards, in order."""


class SplitFacts(Spec):
    """One split."""

    tokens: int
    """Tokens, boundary tokens included."""
    documents: int
    """Documents."""
    bytes: int
    """UTF-8 bytes of the documents' text."""
    groups: dict[str, GroupFacts]
    """By language, source, or all together; sorted by name."""


class TokenizerFacts(Spec):
    """The tokenizer that made the tokens."""

    digest: str
    """Its identity."""
    size: int
    """Number of its ids."""
    boundary_id: int
    """The token that begins every document."""


class TokensFacts(Spec):
    """What the manifest of a tokens artifact says about its content."""

    tokenizer: TokenizerFacts
    """The tokenizer that made the tokens."""
    dtype: Literal["uint16", "uint32"]
    """Type of a token on disk."""
    mix_by: str
    """What a group is: language, source, both or none."""
    splits: dict[str, SplitFacts]
    """By name: train and, if they have documents, validation and test."""


def read_facts(tokens: Artifact) -> TokensFacts:
    """Return what a tokens artifact says about itself."""
    return TokensFacts.model_validate(tokens.facts)


def open_tokens(tokens: Artifact, *, verify: bool = True) -> TokensFacts:
    """Check that a tokens artifact is whole, and return its facts.

    Args:
        tokens: The artifact.
        verify: Compare checksums, once per process; sizes are always compared.

    Returns:
        Its facts.

    Raises:
        ArtifactKindError: It is another kind of artifact.
        CorruptArtifactError: A shard is missing, or differs from its checksum.
    """
    identity = (tokens.path.absolute(), tokens.digest)
    loaded = load_artifact(tokens.path, TOKENS_KIND, verify=verify and identity not in _verified)
    if verify:
        _verified.add(identity)
    return read_facts(loaded)


def check_tokenizer(tokens: Artifact, tokenizer: TextTokenizer) -> None:
    """Refuse shards that another tokenizer wrote.

    Args:
        tokens: A tokens artifact.
        tokenizer: The tokenizer that the model is trained with.

    Raises:
        ArtifactMismatchError: Their ids mean different pieces.
    """
    written_by = read_facts(tokens).tokenizer
    if written_by.digest != tokenizer.digest:
        raise ArtifactMismatchError(
            "these shards were written with another tokenizer, so their ids mean other pieces",
            where=tokens.path,
            given=f"tokenizer {written_by.digest[:12]}… with {written_by.size} ids",
            allowed=f"tokenizer {tokenizer.digest[:12]}… with {tokenizer.size} ids",
            hint="run the data stage again with this tokenizer, or name the one that made them",
        )


def split_facts(tokens: Artifact, facts: TokensFacts, split: Split) -> SplitFacts:
    """Return the facts of a split, or say that it has no documents."""
    if split in facts.splits:
        return facts.splits[split]
    raise EmptyCorpusError(
        f"the shards have no documents in the split '{split}'",
        where=tokens.path,
        allowed=", ".join(facts.splits),
        hint="look at the reject reasons in the README.md of the corpus"
        if split == "train"
        else f"raise corpus.{split}_fraction or give more text, then run corpus and data again",
    )


class TokenStream:
    """The tokens of one group as one circular sequence over its memory-mapped shards.

    Args:
        folder: Folder of the artifact.
        group: Its shards.
        dtype: Type of a token on disk.

    Raises:
        CorruptArtifactError: A shard has another size than recorded.
    """

    def __init__(self, folder: Path, group: GroupFacts, dtype: str) -> None:
        self.num_tokens = group.tokens
        self._shards = [_map_shard(folder / shard.file, shard, dtype) for shard in group.shards]
        self._starts = [0, *accumulate(shard.tokens for shard in group.shards)]

    def read(self, start: int, out: npt.NDArray[Any]) -> None:
        """Fill `out` with the tokens from `start` on, going round at the end.

        Args:
            start: Position of the first token in [0, num_tokens).
            out: One-dimensional array of any length.
        """
        filled, position = 0, start
        while filled < len(out):
            shard = bisect_right(self._starts, position) - 1
            offset = position - self._starts[shard]
            piece = self._shards[shard][offset : offset + len(out) - filled]
            out[filled : filled + len(piece)] = piece
            filled += len(piece)
            position = (position + len(piece)) % self.num_tokens


def _map_shard(file: Path, shard: ShardFacts, dtype: str) -> npt.NDArray[Any]:
    stored = np.dtype(dtype).newbyteorder("<")
    size = file.stat().st_size if file.is_file() else None
    if size != shard.tokens * stored.itemsize:
        raise CorruptArtifactError(
            "the shard has another size than its index says",
            where=file,
            given="missing" if size is None else f"{size} bytes",
            allowed=f"{shard.tokens * stored.itemsize} bytes",
            hint="run the data stage again",
        )
    # A plain view: slicing np.memmap itself is several times slower.
    return np.asarray(np.memmap(file, dtype=stored, mode="r"))
