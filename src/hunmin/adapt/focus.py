"""FOCUS: a new piece is a mixture of the old pieces that keep the same company in a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from hunmin.adapt.embeddings import Mixture, Weights, mean_mixture

Ids = npt.NDArray[np.int64]
_CHUNK = 1024


@dataclass(frozen=True)
class FocusOptions:
    """How likeness of pieces is measured.

    Args:
        window: Tokens to either side that count as company.
        dimensions: Of the vectors that stand for pieces.
        min_count: Pieces that occur less often have no vector; a new one falls back to the mean.
        neighbors: Old pieces a mixture is chosen from.
        seed: Of the singular value decomposition.
    """

    window: int = 5
    dimensions: int = 128
    min_count: int = 5
    neighbors: int = 64
    seed: int = 0


def focus_mixture(
    old_ids: Mapping[int, Sequence[int]],
    rows: Sequence[Ids],
    options: FocusOptions | None = None,
) -> Mixture:
    """Mix new pieces from old ones that resemble them in a text of the new language.

    Args:
        old_ids: For each new id the old ids of its text; what a piece too rare for the text is
            mixed from.
        rows: Lines of the text as ids of the extended tokenizer.
        options: How likeness is measured.

    Returns:
        The mixture.

    Note:
        Deterministic on one machine. Memory: a few numbers for each pair of pieces within a window.

    Source:
        Dobler & de Melo 2023, FOCUS (arXiv:2305.14481); Minixhofer et al. 2022, WECHSEL
        (arXiv:2112.06598), for mixing by likeness. Deviations: the auxiliary vectors are not
        fastText but a truncated singular value decomposition of positive pointwise mutual
        information with smoothed contexts (Levy, Goldberg & Dagan 2015), which needs no further
        package; old pieces are all those that occur in the text, not a vocabulary's overlap;
        sparsemax runs over the 64 most similar; rare pieces take the mean, not random rows.
    """
    options = options or FocusOptions()
    mean = mean_mixture(old_ids)
    present, vectors = piece_vectors(rows, options)
    is_new = present >= mean.first_id
    if not is_new.any() or is_new.all():
        return mean
    recipes = dict(enumerate(mean.recipes, start=mean.first_id))
    new_ids = present[is_new]
    for start in range(0, len(new_ids), _CHUNK):
        chosen = torch.from_numpy(np.flatnonzero(is_new)[start : start + _CHUNK])
        mixed = _nearest(
            vectors[chosen], vectors[torch.from_numpy(~is_new)], present[~is_new], options
        )
        recipes.update(zip(new_ids[start : start + _CHUNK].tolist(), mixed, strict=True))
    return Mixture(mean.first_id, [recipes[number] for number in sorted(recipes)])


def _nearest(
    new: torch.Tensor, old: torch.Tensor, names: Ids, options: FocusOptions
) -> list[Weights]:
    likeness = new @ old.T
    values, places = likeness.topk(min(options.neighbors, len(names)), dim=1)
    weights = sparsemax(values)
    return [
        {int(names[place]): weight for place, weight in zip(line, row, strict=True) if weight > 0}
        for line, row in zip(places.tolist(), weights.tolist(), strict=True)
    ]


def sparsemax(scores_NK: torch.Tensor) -> torch.Tensor:
    """Project each row onto the probability simplex; small scores get exactly zero.

    Args:
        scores_NK: Scores in descending order, float, shape (rows, choices).

    Returns:
        Weights of the same shape that add up to 1 in each row.

    Source:
        Martins & Astudillo 2016, algorithm 1 (arXiv:1602.02068).
    """
    ranks_K = torch.arange(1, scores_NK.shape[1] + 1, dtype=scores_NK.dtype)
    sums_NK = scores_NK.cumsum(1)
    support = (1 + ranks_K * scores_NK > sums_NK).sum(1, keepdim=True)
    threshold = (sums_NK.gather(1, support - 1) - 1) / support
    return (scores_NK - threshold).clamp(min=0)


def piece_vectors(rows: Sequence[Ids], options: FocusOptions) -> tuple[Ids, torch.Tensor]:
    """Return a vector of length 1 for each piece that is frequent enough.

    Args:
        rows: Lines of text as ids.
        options: Window, dimensions and the like.

    Returns:
        The ids in ascending order, and their vectors, float32, shape (pieces, dimensions).
    """
    stream = np.concatenate([*rows, np.empty(0, np.int64)]).astype(np.int64)
    lines = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    names, inverse, counts = np.unique(stream, return_inverse=True, return_counts=True)
    frequent = counts >= options.min_count
    if frequent.sum() < 2:
        return np.empty(0, np.int64), torch.empty(0, options.dimensions)
    place = np.where(frequent, np.cumsum(frequent) - 1, -1)[inverse]
    table = _information(place, lines, int(frequent.sum()), options.window)
    vectors = _decompose(table, options)
    return names[frequent], torch.nn.functional.normalize(vectors, dim=1)


def _information(places: Ids, lines: Ids, size: int, window: int) -> torch.Tensor:
    """Return positive pointwise mutual information of pieces within a window, sparse."""
    keys, counts = _company(places, lines, size, window)
    left, right = keys // size, keys % size
    totals = np.bincount(left, counts, size)
    contexts = totals**0.75
    expected = totals[left] * contexts[right] / max(contexts.sum(), 1)
    information = np.log(np.maximum(counts / np.maximum(expected, 1e-12), 1e-12))
    kept = information > 0
    both = torch.from_numpy(np.stack([left[kept], right[kept]]))
    values = torch.from_numpy(information[kept].astype(np.float32))
    return torch.sparse_coo_tensor(both, values, (size, size), check_invariants=True).coalesce()


def _company(
    places: Ids, lines: Ids, size: int, window: int
) -> tuple[Ids, npt.NDArray[np.float64]]:
    """Count the pairs within a window and a line, in both directions; nearer pairs count more."""
    keys, counts = np.empty(0, np.int64), np.empty(0, np.float64)
    for distance in range(1, window + 1):
        left, right = places[:-distance], places[distance:]
        good = (left >= 0) & (right >= 0) & (lines[:-distance] == lines[distance:])
        pairs = np.concatenate([left * size + right, right * size + left])[np.tile(good, 2)]
        found, number = np.unique(pairs, return_counts=True)
        keys = np.concatenate([keys, found])
        counts = np.concatenate([counts, number / distance])
        keys, where = np.unique(keys, return_inverse=True)
        counts = np.bincount(where, counts, len(keys)).astype(np.float64)
    return keys, counts


def _decompose(table: torch.Tensor, options: FocusOptions) -> torch.Tensor:
    dimensions = min(options.dimensions, table.shape[0])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        left, singular, _ = torch.svd_lowrank(table, q=dimensions, niter=2)
    return left * singular.sqrt()
