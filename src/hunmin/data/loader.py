"""Any batch of the training order, by its number.

WindowLoader  which stretch of which stream each row of a batch is
TokenLoader   these stretches as they are; `corrupting.py` has the other one

The order is a pure function of the seed. Each group is a circular stream; an epoch of it is
ceil(N / T) windows of T tokens in the order of a seeded permutation, and the next epoch begins
where the last one's windows ended, so that over time every token is a target equally often. Which
group a sample comes from, and the how-manieth of its group it is, `mixture.py` says. Nothing
depends on the number of processes, and going on from batch n needs only n.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import numpy as np

from hunmin.core.artifact import Artifact
from hunmin.core.errors import ArtifactMismatchError, InputError, suggest
from hunmin.core.hashing import seed_from
from hunmin.corpus.documents import Split
from hunmin.data.batch import IGNORED_LABEL, Batch, TokenBatch, batch_from_windows
from hunmin.data.mixing import mix_split
from hunmin.data.mixture import Mixture
from hunmin.data.permutation import Int64s, mix, permute
from hunmin.data.spec import DataSpec
from hunmin.data.tokens import (
    SplitFacts,
    TokensFacts,
    TokenStream,
    open_tokens,
    split_facts,
)

__all__ = ["IGNORED_LABEL", "TokenBatch", "TokenLoader", "WindowLoader"]

BatchT = TypeVar("BatchT", bound=Batch, covariant=True)


class WindowLoader(ABC, Generic[BatchT]):
    """Batches made of windows in a global order that depends on the seed alone.

    Args:
        tokens: A tokens artifact.
        spec: Context, mixture, attention across documents, seed.
        batch_size: Rows of the global batch, over all ranks.
        split: Which documents.
        rank: This process among `world_size`; it gets rows rank, rank + world_size, …
        world_size: Processes that share the global batch.
        start_sample: Number of the first sample of batch 0.
        run_tokens: Tokens the whole run draws; `spec.max_epochs` limits the share of a group by it,
            and says nothing about the split `validation` or `test`.
        only_group: Draw rows of this group alone, whatever its share: for its own held-out loss.
        verify: Compare the shards' checksums, once per process.

    Raises:
        CorruptArtifactError: A shard differs from what was written.
        ArtifactMismatchError: The shards are grouped in another way than `spec.mix_by` says.
        EmptyCorpusError: The split has no documents.
        InputError: A weight or `only_group` names an unknown group, there are fewer rows than
            ranks, or `spec.max_epochs` is given without `run_tokens`.
    """

    def __init__(
        self,
        tokens: Artifact,
        spec: DataSpec,
        *,
        batch_size: int,
        split: Split = "train",
        rank: int = 0,
        world_size: int = 1,
        start_sample: int = 0,
        run_tokens: int | None = None,
        only_group: str | None = None,
        verify: bool = True,
    ) -> None:
        _check_ranks(batch_size, rank, world_size)
        facts = open_tokens(tokens, verify=verify)
        _check_grouping(tokens, facts, spec)
        self._split = _narrow(split_facts(tokens, facts, split), split, only_group)
        self._spec = spec
        self._batch_size = batch_size
        self._rank, self._world_size = rank, world_size
        self._start_sample = start_sample
        self._next_batch = 0
        self._boundary_id = facts.tokenizer.boundary_id
        limited = _run_tokens(spec, split, run_tokens) if only_group is None else None
        whole = mix_split(facts, self._split, spec, limited) if only_group is None else None
        self._shares = dict.fromkeys(self._split.groups, 1.0) if whole is None else whole.shares
        self._identity = {"tokens": tokens.digest, "split": split, "batch_size": batch_size}
        self._identity |= {"start_sample": start_sample, **_ordering(spec)}
        self._identity |= {} if limited is None else {"run_tokens": limited}
        self._identity |= {} if only_group is None else {"only_group": only_group}
        self._streams = [
            TokenStream(tokens.path, group, facts.dtype) for group in self._split.groups.values()
        ]
        self._sizes = np.array([stream.num_tokens for stream in self._streams], dtype=np.int64)
        self._windows = -(-self._sizes // spec.context)
        self._keys = np.array(
            [seed_from("windows", spec.seed, name) for name in self._shares], dtype=np.uint64
        )
        self._mixture = Mixture(list(self._shares.values()), spec.seed)

    @property
    def num_tokens(self) -> int:
        """Tokens in the split, boundary tokens included."""
        return self._split.tokens

    @property
    def num_bytes(self) -> int:
        """UTF-8 bytes of the text in the split."""
        return self._split.bytes

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the groups."""
        return tuple(self._shares)

    @property
    def shares(self) -> dict[str, float]:
        """Share of the samples of each group; they add up to 1."""
        return dict(self._shares)

    def batch(self, index: int) -> BatchT:
        """Return this rank's rows of a global batch.

        Args:
            index: Number of the batch, >= 0.

        Returns:
            batch_size / world_size rows; where that does not divide, the first ranks have a row
            more than the last.

        Note:
            A pure function: O(1), no state, the same on every machine.
        """
        first = self._start_sample + index * self._batch_size
        samples = np.arange(first + self._rank, first + self._batch_size, self._world_size)
        return self.make_rows(samples)

    @abstractmethod
    def make_rows(self, samples_B: Int64s) -> BatchT:
        """Return the rows of any samples.

        Args:
            samples_B: Sample numbers, int64, shape (B,).

        Returns:
            B rows, each of which depends on its sample number alone.
        """

    def locate(self, samples_B: Int64s) -> tuple[Int64s, Int64s]:
        """Return where samples lie: the group's index and the position of the first token.

        Args:
            samples_B: Sample numbers, int64.

        Returns:
            Group indices and positions in the group's stream, int64.
        """
        groups_B, ranks_B = self._mixture.locate(samples_B)
        windows_B = self._windows[groups_B]
        epochs_B, places_B = np.divmod(ranks_B, windows_B)
        keys_B = mix(self._keys[groups_B] ^ mix(epochs_B.astype(np.uint64)))
        numbers_B = epochs_B * windows_B + permute(places_B, windows_B, keys_B)
        return groups_B, numbers_B * self._spec.context % self._sizes[groups_B]

    def read_windows(self, samples_B: Int64s) -> tuple[Int64s, Int64s]:
        """Read what samples are made of.

        Args:
            samples_B: Sample numbers, int64, shape (B,).

        Returns:
            Tokens, int64, shape (B, context + 1), the last of which begins the window after; and
            group indices, int64, shape (B,).
        """
        groups_B, starts_B = self.locate(samples_B)
        windows = np.empty((len(samples_B), self._spec.context + 1), dtype=np.int64)
        places = zip(groups_B.tolist(), starts_B.tolist(), windows, strict=True)
        for group, start, row in places:
            self._streams[group].read(start, row)
        return windows, groups_B

    def __iter__(self) -> Iterator[BatchT]:
        """Yield batches without end, from the saved position on."""
        while True:
            index = self._next_batch
            self._next_batch += 1
            yield self.batch(index)

    def state_dict(self) -> dict[str, Any]:
        """Return the number of the next batch, and what it depends on."""
        return {"next_batch": self._next_batch, "identity": dict(self._identity)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where a saved position was.

        Args:
            state: What `state_dict` returned.

        Raises:
            ArtifactMismatchError: The position belongs to another order of samples.
        """
        saved = state["identity"]
        differing = [name for name, value in self._identity.items() if saved.get(name) != value]
        if differing:
            raise ArtifactMismatchError(
                "the saved position belongs to another order of samples",
                given=", ".join(f"{name}: {saved.get(name)}" for name in differing),
                allowed=", ".join(f"{name}: {self._identity[name]}" for name in differing),
                hint="continue with the recipe and shards it was saved with, or start a new run",
            )
        self._next_batch = state["next_batch"]


class TokenLoader(WindowLoader[TokenBatch]):
    """Batches of packed windows, in which every next token is scored; see `WindowLoader`."""

    def make_rows(self, samples_B: Int64s) -> TokenBatch:
        """Return the rows of any samples, shape (B, context)."""
        windows, _ = self.read_windows(samples_B)
        return batch_from_windows(
            windows,
            self._boundary_id,
            cross_document_attention=self._spec.cross_document_attention,
        )


def _ordering(spec: DataSpec) -> dict[str, Any]:
    """The fields that decide the order and the shape of samples."""
    return spec.model_dump(mode="json", exclude={"shard_max_tokens", "num_workers"})


def _run_tokens(spec: DataSpec, split: Split, run_tokens: int | None) -> int | None:
    """The length of the run if the shares depend on it."""
    if spec.max_epochs is None or split != "train":
        return None
    if run_tokens is None:
        raise InputError(
            "how often a group is read cannot be limited without the length of the run",
            where="data.max_epochs",
            given=spec.max_epochs,
            hint="give TokenLoader run_tokens, or leave max_epochs out",
        )
    return run_tokens


def _narrow(facts: SplitFacts, split: Split, only_group: str | None) -> SplitFacts:
    """The facts of a split with one group of it, or with all."""
    if only_group is None:
        return facts
    if only_group not in facts.groups:
        raise InputError(
            f"the split '{split}' has no such group.{suggest(only_group, facts.groups)}",
            where="only_group",
            given=only_group,
            allowed=", ".join(facts.groups),
            hint="name a group that has documents in this split",
        )
    group = facts.groups[only_group]
    return SplitFacts(
        tokens=group.tokens,
        documents=group.documents,
        bytes=group.bytes,
        groups={only_group: group},
    )


def _check_ranks(batch_size: int, rank: int, world_size: int) -> None:
    if batch_size < world_size or not 0 <= rank < world_size:
        raise InputError(
            "there are not enough rows for every rank",
            given=f"batch_size {batch_size}, rank {rank}, world_size {world_size}",
            allowed="a batch_size of at least world_size, rank < world_size",
            hint="change the tokens per step or the number of processes",
        )


def _check_grouping(tokens: Artifact, facts: TokensFacts, spec: DataSpec) -> None:
    if facts.mix_by != spec.mix_by:
        raise ArtifactMismatchError(
            "the shards are grouped in another way than the recipe says",
            where=tokens.path,
            given=f"shards mixed by {facts.mix_by}",
            allowed=f"data.mix_by: {spec.mix_by}",
            hint="run the data stage again, or set data.mix_by to what the shards have",
        )
