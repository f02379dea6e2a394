"""Batches of corrupted documents: the rows of `TokenLoader`, turned into what an objective asks.

Which stretch of which stream a row is, how groups are mixed, resuming and the independence of the
number of processes are those of `WindowLoader`; a sample's corruption depends on its number, its
tokens and the seed alone.

make_loader -> TokenLoader       a decoder that says every next token
            -> CorruptingLoader  all others
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from hunmin.core.artifact import Artifact
from hunmin.corpus.documents import Split
from hunmin.data.batch import IGNORED_LABEL, Batch, TokenBatch, batch_from_windows
from hunmin.data.corruption import Corruptor
from hunmin.data.loader import TokenLoader, WindowLoader
from hunmin.data.objectives.base import Layout
from hunmin.data.objectives.kinds import choose_objectives
from hunmin.data.pairs import Pairs, PairShape, fit_shape, pack_pairs, pair_up
from hunmin.data.permutation import Int64s
from hunmin.data.spec import DataSpec
from hunmin.data.tokens import check_tokenizer
from hunmin.tokenizer.load import TextTokenizer

_PROBED_TOKENS = 2**18
_FEWEST_PROBES = 16


class CorruptingLoader(WindowLoader[Batch]):
    """Batches of corrupted documents in a global order that depends on the seed alone.

    Args:
        tokens: A tokens artifact.
        spec: Objectives, context, mixture, attention across documents, seed.
        tokenizer: The one that made the shards.
        layout: What the model is.
        **options: See `WindowLoader`.

    Raises:
        ArtifactMismatchError: The tokenizer did not make the shards.
        InputError: An objective does not suit the model or the groups; see also `WindowLoader`.
        VocabularyError: The tokenizer has no token that an objective needs.
    """

    def __init__(
        self,
        tokens: Artifact,
        spec: DataSpec,
        tokenizer: TextTokenizer,
        layout: Layout,
        **options: Any,
    ) -> None:
        super().__init__(tokens, spec, **options)
        check_tokenizer(tokens, tokenizer)
        self._layout = layout
        self._pad_id = tokenizer.pad_id
        self._corruptor = Corruptor(spec, tokenizer, layout, self.groups)
        named = [objective.model_dump(mode="json") for objective in self._corruptor.specs]
        self._identity |= {"objectives": named, "layout": layout.name}

    @cached_property
    def pair_shape(self) -> PairShape:
        """Tokens in a row of the encoder and of the decoder, the same for all batches of the run.

        Note:
            What 99 of 100 among the first samples of the split need, in multiples of 16, at most
            the context. They are a fair sample, since samples are drawn in random order.
        """
        count = max(_FEWEST_PROBES, _PROBED_TOKENS // self._spec.context)
        return fit_shape(self._pairs(np.arange(count)), self._spec.context)

    def make_rows(self, samples_B: Int64s) -> Batch:
        """Return the rows of any samples; see `data.batch` for their shapes."""
        if self._layout is Layout.SEQUENCE:
            return pack_pairs(
                self._pairs(samples_B),
                self.pair_shape,
                num_rows=len(samples_B),
                pad_id=self._pad_id,
                cross_document_attention=self._spec.cross_document_attention,
            )
        windows, groups_B = self.read_windows(samples_B)
        batch = batch_from_windows(
            windows,
            self._boundary_id,
            cross_document_attention=self._spec.cross_document_attention,
        )
        if self._layout is Layout.ALIGNED:
            return self._mask(batch, samples_B, groups_B)
        return self._score_rest(batch, windows, samples_B, groups_B)

    def _mask(self, batch: TokenBatch, samples_B: Int64s, groups_B: Int64s) -> TokenBatch:
        """Put corrupted documents where they were, and score what is to be said."""
        inputs = batch.input_ids.numpy().copy()
        labels = np.full_like(inputs, IGNORED_LABEL)
        for part in self._corruptor.corrupt(batch.input_ids.numpy(), samples_B, groups_B):
            part.fill(inputs, part.result.inputs.tokens)
            part.fill(labels, part.result.labels.tokens)
        return replace(batch, input_ids=torch.from_numpy(inputs), labels=torch.from_numpy(labels))

    def _score_rest(
        self, batch: TokenBatch, windows: Int64s, samples_B: Int64s, groups_B: Int64s
    ) -> TokenBatch:
        """Score next tokens as far as they are not given, and the end of every document."""
        # A copy: the batch may look at the same memory.
        labels = windows.copy()
        labels[:, 0] = self._boundary_id
        for part in self._corruptor.corrupt(labels.copy(), samples_B, groups_B):
            part.fill(labels, part.result.labels.tokens)
        return replace(batch, labels=torch.from_numpy(labels[:, 1:].copy()))

    def _pairs(self, samples_B: Int64s) -> list[Pairs]:
        windows, groups_B = self.read_windows(samples_B)
        # Each row begins with a boundary token: one that begins within a document gives a token up.
        windows[:, 0] = self._boundary_id
        parts = self._corruptor.corrupt(windows[:, :-1], samples_B, groups_B)
        return [pair_up(part, windows, self._boundary_id) for part in parts]


def make_loader(
    tokens: Artifact,
    spec: DataSpec,
    tokenizer: TextTokenizer,
    layout: Layout,
    *,
    batch_size: int,
    split: Split = "train",
    rank: int = 0,
    world_size: int = 1,
    start_sample: int = 0,
    run_tokens: int | None = None,
    only_group: str | None = None,
    verify: bool = True,
) -> TokenLoader | CorruptingLoader:
    """Open shards as the batches that a model learns from.

    Args:
        tokens: A tokens artifact.
        spec: Objectives, context, mixture, attention across documents, seed.
        tokenizer: The one that made the shards.
        layout: What the model is: `models.architecture.layout_of` tells.
        batch_size: Rows of the global batch, over all ranks.
        split: Which documents.
        rank: This process among `world_size`.
        world_size: Processes that share the global batch.
        start_sample: Number of the first sample of batch 0.
        run_tokens: Tokens the whole run draws, see `WindowLoader`.
        only_group: Draw rows of this group alone: for its own held-out loss.
        verify: Compare the shards' checksums, once per process.

    Returns:
        A loader whose batches are `TokenBatch` for encoders and decoders, `PairBatch` for
        encoder-decoders.

    Raises:
        CorruptArtifactError: A shard differs from what was written.
        ArtifactMismatchError: The tokenizer did not make the shards, or they are grouped in another
            way than `spec.mix_by` says.
        EmptyCorpusError: The split has no documents.
        InputError: An objective does not suit the model; a name that no group has.
        VocabularyError: The tokenizer has no token that an objective needs.
    """
    specs = choose_objectives(spec.objectives, layout.model_kind)
    options: dict[str, Any] = {
        "batch_size": batch_size,
        "split": split,
        "rank": rank,
        "world_size": world_size,
        "start_sample": start_sample,
        "run_tokens": run_tokens,
        "only_group": only_group,
        "verify": verify,
    }
    if all(objective.kind == "causal" for objective in specs):
        # The same order, so the same identity, whether the recipe says so or not.
        return TokenLoader(tokens, spec.model_copy(update={"objectives": None}), **options)
    return CorruptingLoader(tokens, spec, tokenizer, layout, **options)
