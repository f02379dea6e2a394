"""What every objective is: documents in, what the model reads and what it is to say out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

import numpy as np
import numpy.typing as npt

from hunmin.core.errors import InputError
from hunmin.data.batch import IGNORED_LABEL
from hunmin.data.objectives.kinds import ModelKind
from hunmin.data.objectives.ragged import Bools, Documents, Ragged, stack
from hunmin.data.permutation import Int64s


class Layout(IntEnum):
    """How targets stand to inputs."""

    ALIGNED = 0
    """An encoder says target i where it reads input i; rows have equal lengths."""
    NEXT_TOKEN = 1
    """A decoder reads the row itself; target i is predicted from the targets before it, the first
    from the boundary token that the batch puts in front. Inputs are the part that is given: a
    prefix, which may attend to itself in both directions, or nothing."""
    SEQUENCE = 2
    """An encoder reads the inputs, a decoder writes the targets."""

    @property
    def model_kind(self) -> ModelKind:
        """What people call models of this layout."""
        kinds: tuple[ModelKind, ...] = ("encoder", "decoder", "encoder-decoder")
        return kinds[self]


@dataclass(frozen=True, eq=False)
class Corrupted:
    """Corrupted documents, one row for each document, empty rows for empty documents.

    Args:
        inputs: What the model reads, D rows.
        targets: What it is to say, D rows.
        scored: bool, one for each token of the targets: the loss is taken there.
        layouts: A `Layout` for each document, int8, shape (D,).
    """

    inputs: Ragged
    targets: Ragged
    scored: Bools
    layouts: npt.NDArray[np.int8]

    @property
    def labels(self) -> Ragged:
        """The targets with -100 where nothing is scored."""
        return self.targets.with_tokens(np.where(self.scored, self.targets.tokens, IGNORED_LABEL))

    def take(self, rows: Int64s) -> Corrupted:
        """Return the given rows, in the given order."""
        scored = self.scored[self.targets.indices_of(rows)]
        return Corrupted(
            self.inputs.take(rows), self.targets.take(rows), scored, self.layouts[rows]
        )


class Objective(Protocol):
    """A self-supervised task: a frozen, seeded function of documents."""

    def __call__(
        self, documents: Documents, epoch: int | Int64s, first_document: int | Int64s
    ) -> Corrupted:
        """Corrupt documents.

        Args:
            documents: D documents; the arrays are not changed.
            epoch: How often the documents were seen before; one for all, or one each, shape (D,).
                Another epoch gives another corruption.
            first_document: Number of the first document, which the others follow, or of each,
                int64, shape (D,). The result for a document depends on it, on its tokens, the
                epoch and the seed alone.

        Returns:
            D rows in the order of the documents.
        """


def corrupted(
    inputs: Ragged, targets: Ragged, layout: Layout, scored: Bools | None = None
) -> Corrupted:
    """Return the result of an objective with one layout.

    Args:
        inputs: D rows.
        targets: D rows.
        layout: Of every document.
        scored: bool, one for each token of the targets. None: all.

    Returns:
        Inputs, targets, what is scored and the layout of each document.
    """
    if scored is None:
        scored = np.ones(len(targets.tokens), dtype=np.bool_)
    return Corrupted(inputs, targets, scored, np.full(len(inputs), layout, dtype=np.int8))


def stack_corrupted(*parts: Corrupted) -> Corrupted:
    """Return all rows of the first part, then all rows of the second, and so on."""
    return Corrupted(
        stack(*(part.inputs for part in parts)),
        stack(*(part.targets for part in parts)),
        np.concatenate([part.scored for part in parts]),
        np.concatenate([part.layouts for part in parts]),
    )


def check_share(name: str, value: float) -> None:
    """Refuse a share that is not above 0 and at most 1.

    Args:
        name: Of the setting.
        value: Of the setting.

    Raises:
        InputError: It is out of range.
    """
    if not 0 < value <= 1:
        raise InputError(
            f"{name} is out of range", given=value, allowed="above 0, at most 1", hint="try 0.15"
        )


def check_mean_span(value: float) -> None:
    """Refuse a mean length of spans that is not from 1 to 100.

    Args:
        value: Tokens.

    Raises:
        InputError: It is out of range.
    """
    if not 1 <= value <= 100:
        raise InputError(
            "mean_span is out of range", given=value, allowed="1 to 100 tokens", hint="try 3"
        )
