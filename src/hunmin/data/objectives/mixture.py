"""Several objectives at once: which one a document gets is drawn by weight."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hunmin.core.errors import InputError
from hunmin.data.objectives.base import Corrupted, Objective, stack_corrupted
from hunmin.data.objectives.ragged import Documents
from hunmin.data.objectives.randomness import document_keys, document_numbers, draw_one
from hunmin.data.permutation import Int64s


@dataclass(frozen=True)
class ObjectiveMixture:
    """Draw an objective for each document; itself an objective.

    Args:
        objectives: At least one.
        weights: One for each, not negative, with a positive sum; only their proportions count.
        seed: Decides which document gets which objective, anew in each epoch.

    Raises:
        InputError: The weights do not fit the objectives.

    Note:
        An objective may itself be a mixture; give it another seed, or both draw alike.

    Source:
        AlexaTM 20B: 0.8 denoising and 0.2 continuation (arXiv:2208.01448).
    """

    objectives: tuple[Objective, ...]
    weights: tuple[float, ...]
    seed: int = 0

    def __post_init__(self) -> None:
        fits = 0 < len(self.objectives) == len(self.weights)
        if not fits or not np.all(np.isfinite(self.weights)) or min(self.weights) < 0:
            self._refuse()
        if sum(self.weights) <= 0:
            self._refuse()

    def _refuse(self) -> None:
        raise InputError(
            "the weights do not fit the objectives",
            given=f"{len(self.objectives)} objectives, weights {self.weights}",
            allowed="one weight for each, none negative, at least one above 0",
        )

    def choices(
        self, epoch: int | Int64s, first_document: int | Int64s, num_documents: int
    ) -> Int64s:
        """Return the number of the objective that each document gets.

        Args:
            epoch: How often the documents were seen before.
            first_document: Number of the first document, or of each.
            num_documents: D.

        Returns:
            int64, shape (D,).
        """
        keys = document_keys(self.seed, "mixture", epoch, first_document, num_documents)
        bounds = np.cumsum(self.weights) / np.sum(self.weights)
        last = int(np.flatnonzero(self.weights)[-1])
        return np.minimum(np.searchsorted(bounds, draw_one(keys), side="right"), last)

    def __call__(
        self, documents: Documents, epoch: int | Int64s, first_document: int | Int64s
    ) -> Corrupted:
        """Corrupt each document by its own objective (see `Objective`)."""
        chosen = self.choices(epoch, first_document, len(documents))
        numbers = document_numbers(first_document, len(documents))
        epochs = np.broadcast_to(np.asarray(epoch, dtype=np.int64), chosen.shape)
        groups = [np.flatnonzero(chosen == i) for i in range(len(self.objectives))]
        parts = [
            objective(documents.take(rows), epochs[rows], numbers[rows])
            for objective, rows in zip(self.objectives, groups, strict=True)
        ]
        return stack_corrupted(*parts).take(np.argsort(np.concatenate(groups), kind="stable"))
