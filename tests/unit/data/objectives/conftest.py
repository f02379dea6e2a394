from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from hunmin.data.objectives.ragged import Documents

MakeDocuments = Callable[[Sequence[int]], Documents]


@pytest.fixture
def make_documents() -> MakeDocuments:
    """Documents of the given lengths: ordinary ids from 200 to 999, a sentence every 7 tokens."""

    def make(lengths: Sequence[int]) -> Documents:
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        tokens = np.random.default_rng(1).integers(200, 1_000, offsets[-1])
        plain = Documents(tokens, offsets)
        return Documents(tokens, offsets, plain.places % 7 == 0, 190 + np.arange(len(plain)) % 5)

    return make
