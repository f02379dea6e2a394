"""Held-out loss of each group of the shards, by the task that a model of its kind learns from.

What a group is, the shards say: a language, a source, or a language's part of a source.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from hunmin.core.artifact import Artifact
from hunmin.core.errors import ArtifactMismatchError, InputError
from hunmin.core.estimates import MIN_GROUPS, Estimate, Floats, estimate, resampled_sums
from hunmin.core.hashing import seed_from
from hunmin.core.progress import progress
from hunmin.core.spec import Spec
from hunmin.corpus.documents import Split
from hunmin.data.batch import IGNORED_LABEL, Batch, PairBatch, TokenBatch
from hunmin.data.corrupting import CorruptingLoader, make_loader
from hunmin.data.loader import TokenLoader
from hunmin.data.spec import DataSpec
from hunmin.data.tokens import open_tokens, split_facts
from hunmin.models.architecture import layout_of
from hunmin.models.devices import explain_out_of_memory, pick_device
from hunmin.models.load import load_language_model
from hunmin.models.objective import LanguageModelObjective
from hunmin.models.optimize import optimize_model
from hunmin.models.precision import autocast, choose_precision
from hunmin.tokenizer.load import TextTokenizer, load_tokenizer

NUM_RESAMPLES = 1_000
DEFAULT_MAX_TOKENS = 1 << 16


class GroupLoss(Spec):
    """The loss on one group; lower is better."""

    loss: Estimate
    """Nats per scored token, with a 95 % bootstrap interval over documents."""
    scored_tokens: int
    """Tokens that the model had to say."""
    documents: int
    """Documents, or parts of them in one row; what the interval resamples."""
    read_tokens: int
    """Tokens of the group that were read, scored or not."""
    available_tokens: int
    """Tokens that the group has in the split."""


@dataclass(frozen=True)
class DocumentScores:
    """What a model needs to say the documents of a group, or parts of them in one row.

    Args:
        nats: Sum over the scored tokens of each, float64, shape (documents,).
        tokens: Scored tokens of each, > 0, float64, shape (documents,).
        read_tokens: Tokens that were read.
        available_tokens: Tokens that the group has.
    """

    nats: Floats
    tokens: Floats
    read_tokens: int
    available_tokens: int


@dataclass(frozen=True)
class GroupScores:
    """What a model needs to say the documents of all groups.

    Args:
        kind: encoder, decoder or encoder-decoder.
        split: Which documents.
        precision: bf16 or fp32, the arithmetic of the matrix products.
        groups: By name, sorted; those with anything to say.
    """

    kind: str
    split: str
    precision: str
    groups: Mapping[str, DocumentScores]


def score_groups(
    model: Path,
    tokens: Artifact,
    data: DataSpec,
    *,
    split: Split = "validation",
    max_tokens_per_group: int = DEFAULT_MAX_TOKENS,
    microbatch_tokens: int = 4096,
    precision: Literal["auto", "bf16", "fp32"] = "auto",
) -> GroupScores:
    """Score the held-out text of every group with a model.

    Args:
        model: Folder of an encoder, a decoder or an encoder-decoder, with its tokenizer.
        tokens: A tokens artifact.
        data: Context, objectives and seed: the task. Weights and temperatures say nothing here.
        split: Which documents.
        max_tokens_per_group: Most tokens to read of a group, in whole rows, at least one.
        microbatch_tokens: Tokens of a forward pass, in whole rows, at least one.
        precision: Of the matrix products.

    Returns:
        The scores. Rows and corruption depend on the shards and `data` alone, so that two models
        with one tokenizer say the same tokens, and the same call gives the same numbers.

    Raises:
        ArtifactMismatchError: The model's tokenizer did not make the shards, or they are grouped in
            another way than `data` says.
        EmptyCorpusError: The split has no documents.
        InputError: An objective does not suit the model.
        OutOfMemoryError: A forward pass does not fit.

    Note:
        A group whose text does not fill its last row has it filled up from its beginning; an
        encoder or a decoder does not score that again, an encoder-decoder does.
    """
    scorer = _Scorer(model, data, microbatch_tokens, precision)
    facts = split_facts(tokens, open_tokens(tokens), split)
    groups: dict[str, DocumentScores] = {}
    with (
        progress("scoring groups", total=len(facts.groups), unit="groups") as bar,
        explain_out_of_memory("lower the tokens of a forward pass (microbatch_tokens)"),
    ):
        for name in sorted(facts.groups):
            available = facts.groups[name].tokens
            rows = -(-min(max(max_tokens_per_group, 1), available) // data.context)
            scores = scorer.score(tokens, split, name, rows, available)
            groups |= {name: scores} if len(scores.nats) else {}
            bar.advance(1)
    return GroupScores(scorer.kind, split, scorer.precision, groups)


class _Scorer:
    """A loaded model and the shape of its batches."""

    def __init__(
        self,
        model: Path,
        data: DataSpec,
        microbatch_tokens: int,
        precision: Literal["auto", "bf16", "fp32"],
    ) -> None:
        self._device = pick_device()
        self.precision = choose_precision(precision, self._device, where="precision")
        self._tokenizer: TextTokenizer = load_tokenizer(model)
        loaded = optimize_model(load_language_model(model, device=self._device))
        self._layout = layout_of(loaded.config)
        self.kind = self._layout.model_kind
        self._objective = LanguageModelObjective(loaded).eval()
        self._data = data
        self._batch_rows = max(1, microbatch_tokens // data.context)

    def score(
        self, tokens: Artifact, split: Split, group: str, rows: int, available: int
    ) -> DocumentScores:
        """Score the first rows of a group's order."""
        loader = make_loader(
            tokens,
            self._data,
            self._tokenizer,
            self._layout,
            batch_size=min(self._batch_rows, rows),
            split=split,
            only_group=group,
        )
        parts = [self._score_batch(batch) for batch in _batches(loader, rows, available)]
        nats, counts = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        read = min(rows * self._data.context, available)
        return DocumentScores(nats, counts, read, available)

    @torch.inference_mode()
    def _score_batch(self, batch: Batch) -> tuple[Floats, Floats]:
        """Sums over the segments of each row."""
        with autocast(self.precision, self._device):
            nats = self._objective(batch.to(self._device), returns="tokens").cpu()
        return sum_documents(nats.double().numpy(), batch)


def _batches(
    loader: TokenLoader | CorruptingLoader, num_rows: int, available: int
) -> Iterator[Batch]:
    """Yield the first rows of a loader of one group; what a row has from a second round is off."""
    first = 0
    for index in range(num_rows):
        batch: Batch = loader.batch(index)
        size = min(batch.num_rows, num_rows - first)
        _, starts = loader.locate(np.arange(first, first + size))
        yield without_repeats(batch.rows(0, size), available - starts)
        first += size
        if first >= num_rows:
            return


def without_repeats(batch: Batch, num_new: npt.NDArray[np.int64]) -> Batch:
    """Leave unscored what a row has read in a first round already.

    Args:
        batch: Rows of one stream.
        num_new: Tokens from the beginning of each row that are not repeated, shape (B,).

    Returns:
        The batch; pairs as they are, since their places are not those of the stream.
    """
    if not isinstance(batch, TokenBatch):
        return batch
    places = torch.arange(batch.labels.shape[1])
    is_new = places < torch.from_numpy(num_new)[:, None]
    return replace(batch, labels=batch.labels.where(is_new, IGNORED_LABEL))


def sum_documents(nats: Floats, batch: Batch) -> tuple[Floats, Floats]:
    """Add up the nats of each document of a batch.

    Args:
        nats: Shape of the labels, (B, T).
        batch: Says which document each token belongs to.

    Returns:
        Nats and scored tokens of the documents that have scored tokens, row by row.
    """
    if isinstance(batch, PairBatch):
        segments = batch.decoder_segment_ids.numpy()
    elif isinstance(batch, TokenBatch):
        segments = batch.segment_ids.numpy()
    else:
        raise InputError("a batch without segments cannot be scored", given=type(batch).__name__)
    is_scored = (batch.labels != IGNORED_LABEL).numpy()
    rows = np.arange(len(segments))[:, None] * (int(segments.max()) + 1)
    documents = (rows + segments)[is_scored]
    counts = np.bincount(documents).astype(np.float64)
    sums: Floats = np.bincount(documents, weights=nats[is_scored]).astype(np.float64)
    return sums[counts > 0], counts[counts > 0]


def group_losses(scores: GroupScores, *, seed: int = 0) -> dict[str, GroupLoss]:
    """Turn scores into losses with intervals.

    Args:
        scores: Of one model.
        seed: Of the resamples.

    Returns:
        The loss of each group; no interval where there are fewer than 5 documents.
    """
    return {name: _loss(name, each, seed) for name, each in scores.groups.items()}


def _loss(name: str, scores: DocumentScores, seed: int) -> GroupLoss:
    totals = resampled_totals(name, np.stack([scores.nats, scores.tokens], axis=1), seed)
    has_interval = len(scores.nats) >= MIN_GROUPS
    return GroupLoss(
        loss=estimate(totals[:, 0] / totals[:, 1], has_interval=has_interval),
        scored_tokens=int(scores.tokens.sum()),
        documents=len(scores.nats),
        read_tokens=scores.read_tokens,
        available_tokens=scores.available_tokens,
    )


def resampled_totals(name: str, values: Floats, seed: int) -> Floats:
    """Return column sums of documents, first of all and then of each resample.

    Args:
        name: Of the group, so that the interval of one does not hang on what others are there.
        values: Shape (documents, columns).
        seed: Of the resamples.

    Returns:
        Shape (1 + NUM_RESAMPLES, columns).
    """
    parts = resampled_sums(values, NUM_RESAMPLES, seed_from("group loss", seed, name))
    return np.vstack([values.sum(0), *parts])


def check_comparable(before: GroupScores, after: GroupScores) -> None:
    """Make sure that two models were asked the same.

    Args:
        before: Scores of one model.
        after: Scores of the other.

    Raises:
        ArtifactMismatchError: They are models of two kinds, or did not say the same tokens.
    """
    if before.kind != after.kind:
        raise ArtifactMismatchError(
            "the losses of two kinds of models are no measure of the same",
            given=f"an {before.kind} and an {after.kind}",
            allowed="two models of one kind",
            hint="compare models that were trained one from the other",
        )
    same = before.groups.keys() == after.groups.keys() and all(
        np.array_equal(scores.tokens, after.groups[name].tokens)
        for name, scores in before.groups.items()
    )
    if not same:
        raise ArtifactMismatchError(
            "the two models did not say the same tokens",
            given=f"{len(before.groups)} and {len(after.groups)} groups",
            hint="score both with the same shards, split, data section and limits",
        )
