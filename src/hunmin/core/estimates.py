"""Numbers with 95 % bootstrap intervals."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from hunmin.core.spec import Spec

Floats = npt.NDArray[np.float64]
MIN_GROUPS = 5
"""With fewer groups a percentile interval would be far too narrow; none is given."""
PERCENTILES = (2.5, 97.5)
MAX_CELLS = 1 << 22


class Estimate(Spec):
    """A number and its 95 % interval."""

    value: float
    """The number over everything that was measured."""
    low: float | None = None
    """Lower end; None where there are too few groups to resample."""
    high: float | None = None
    """Upper end; None where there are too few groups to resample."""


def resampled_sums(values: Floats, num_resamples: int, seed: int) -> Iterator[Floats]:
    """Yield column sums of rows drawn with replacement, as many as there are.

    Args:
        values: Shape (rows, columns).
        num_resamples: Resamples to draw.
        seed: Seed of the draws.

    Yields:
        Sums of some resamples, shape (resamples, columns); bounded in memory.
    """
    num_rows = len(values)
    generator = np.random.default_rng(seed)
    step = max(1, MAX_CELLS // num_rows)
    for start in range(0, num_resamples, step):
        size = min(step, num_resamples - start)
        drawn = generator.integers(0, num_rows, size=(size, num_rows))
        drawn += np.arange(size)[:, None] * num_rows
        times = np.bincount(drawn.ravel(), minlength=size * num_rows).reshape(size, num_rows)
        yield times.astype(np.float64) @ values


def estimate(values: Floats, *, has_interval: bool) -> Estimate:
    """Return the first value, with the percentiles of the others as its interval."""
    if not has_interval or values.size < 2:
        return Estimate(value=float(values[0]))
    low, high = np.percentile(values[1:], PERCENTILES)
    return Estimate(value=float(values[0]), low=float(low), high=float(high))
