"""Rows of embeddings for new pieces: each is a mixture of the rows of old ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedModel

from hunmin.core.errors import ArtifactMismatchError

# Models pad their vocabulary to multiples such as 64 or 128, for speed.
_MAX_MULTIPLE = 128
Weights = Mapping[int, float]


@dataclass(frozen=True)
class Mixture:
    """What the rows of new ids are made of.

    Args:
        first_id: The first new id; the others follow.
        recipes: For each new id the old ids and their weights.
    """

    first_id: int
    recipes: Sequence[Weights]

    @property
    def num_ids(self) -> int:
        """One more than the last new id."""
        return self.first_id + len(self.recipes)

    def rows(self, old: torch.Tensor) -> torch.Tensor:
        """Mix the rows of a matrix, or the entries of a vector.

        Args:
            old: Rows by old id, shape (at least first_id, ...).

        Returns:
            Rows of the new ids in order; computed in float32, type and device of `old`.
        """
        old_ids = sorted({number for recipe in self.recipes for number in recipe})
        column = {number: index for index, number in enumerate(old_ids)}
        entries = [
            (row, column[number], weight)
            for row, recipe in enumerate(self.recipes)
            for number, weight in recipe.items()
        ]
        rows, columns, weights = zip(*entries, strict=True)
        size = (len(self.recipes), len(old_ids))
        matrix = torch.sparse_coo_tensor(
            torch.tensor([rows, columns]),
            torch.tensor(weights, dtype=torch.float32),
            size,
            check_invariants=True,
        )
        used = old[torch.tensor(old_ids, device=old.device)].float().cpu()
        mixed: torch.Tensor = torch.sparse.mm(matrix, used.reshape(len(old_ids), -1))
        return mixed.reshape(-1, *old.shape[1:]).to(device=old.device, dtype=old.dtype)


def mean_mixture(old_ids: Mapping[int, Sequence[int]]) -> Mixture:
    """Return mixtures of equal parts of the old pieces that a new one was before.

    Args:
        old_ids: For each new id the old ids of its text; the new ids follow one another.

    Returns:
        The mixture. A piece that occurs twice in the text counts twice.
    """
    recipes = []
    for new_id in sorted(old_ids):
        parts = old_ids[new_id]
        recipe: dict[int, float] = {}
        for number in parts:
            recipe[number] = recipe.get(number, 0.0) + 1 / len(parts)
        recipes.append(recipe)
    return Mixture(min(old_ids), recipes)


@dataclass(frozen=True)
class EmbeddingFacts:
    """What was done to the embeddings of a model.

    Args:
        rows_before: Rows of the input embedding before.
        rows_after: Rows now: a multiple of what the old number was a multiple of, up to 128.
        new_rows: Rows that were made for new pieces.
        tied: One matrix serves input and output.
    """

    rows_before: int
    rows_after: int
    new_rows: int
    tied: bool


@torch.no_grad()
def extend_embeddings(
    model: PreTrainedModel, mixture: Mixture | None, *, first_id: int, num_ids: int, seed: int = 0
) -> EmbeddingFacts:
    """Make room for new ids in a model and fill their rows.

    Args:
        model: A model of transformers with an input embedding; changed in place.
        mixture: What the new rows are made of; None draws them at random, for comparison.
        first_id: The first new id. Rows before it stay as they are, bit by bit.
        num_ids: One more than the last new id.
        seed: Decides random rows.

    Returns:
        What was done.

    Raises:
        ArtifactMismatchError: The model has fewer rows than the old tokenizer has ids.

    Note:
        Input and output embeddings and an output bias are treated alike. Rows beyond the last id,
        which only pad the vocabulary, become the mean of the old rows: with zeros there, a model
        whose logits are all far below zero would choose them.
    """
    rows_before = model.get_input_embeddings().weight.shape[0]
    _check_rows(rows_before, first_id)
    model.resize_token_embeddings(padded_size(rows_before, num_ids), mean_resizing=False)
    tied = _is_tied(model)
    for matrix in vocabulary_parameters(model):
        _fill(matrix, mixture, first_id, num_ids, _generator(seed), _spread(model))
    rows_after = model.get_input_embeddings().weight.shape[0]
    return EmbeddingFacts(rows_before, rows_after, num_ids - first_id, tied)


def padded_size(rows: int, num_ids: int) -> int:
    """Return how many rows a model needs, padded as it was.

    Args:
        rows: Rows it has; never fewer are returned.
        num_ids: Ids it must have rows for.

    Returns:
        A multiple of the largest power of two, up to 128, that `rows` is a multiple of.
    """
    multiple = math.gcd(rows, _MAX_MULTIPLE)
    return max(rows, -(-num_ids // multiple) * multiple)


def _check_rows(rows: int, first_id: int) -> None:
    if rows < first_id:
        raise ArtifactMismatchError(
            "the model has fewer rows of embeddings than its tokenizer has ids",
            given=f"{rows} rows, {first_id} ids",
            hint="the tokenizer belongs to another model; take the one the model was trained with",
        )


def _is_tied(model: PreTrainedModel) -> bool:
    output = model.get_output_embeddings()
    return output is not None and output.weight is model.get_input_embeddings().weight


def vocabulary_parameters(model: PreTrainedModel) -> list[nn.Parameter]:
    """Return every parameter with a row for each id, each once."""
    modules = [model.get_input_embeddings(), model.get_output_embeddings()]
    found = [
        getattr(module, name, None)
        for module in modules
        if module is not None
        for name in ("weight", "bias")
    ]
    return list({id(parameter): parameter for parameter in found if parameter is not None}.values())


def _fill(
    matrix: torch.Tensor,
    mixture: Mixture | None,
    first_id: int,
    num_ids: int,
    generator: torch.Generator,
    spread: float,
) -> None:
    if mixture is not None:
        matrix[first_id:num_ids] = mixture.rows(matrix[:first_id])
    elif matrix.dim() == 1:
        matrix[first_id:num_ids] = 0.0
    else:
        shape = (num_ids - first_id, *matrix.shape[1:])
        matrix[first_id:num_ids] = torch.randn(shape, generator=generator).to(matrix.dtype) * spread
    matrix[num_ids:] = matrix[:first_id].float().mean(0).to(matrix.dtype)


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _spread(model: PreTrainedModel) -> float:
    return float(getattr(model.config.get_text_config(), "initializer_range", 0.02))
