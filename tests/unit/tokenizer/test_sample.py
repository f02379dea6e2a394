"""The training sample: exact size, fair shares, independent of the order of documents."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.documents import document, write_documents

from hunmin.core.artifact import Artifact
from hunmin.tokenizer.sample import plan_sample, read_sample, share_budget
from hunmin.tokenizer.spec import TokenizerSpec

SIZES = st.dictionaries(
    st.sampled_from(["ko", "en", "sw", "th"]), st.integers(0, 10**9), min_size=1
)


def corpus(path: Path, *, backwards: bool = False) -> Artifact:
    rows = [document(f"{number:03d} 문장입니다", "ko") for number in range(200)]
    rows += [document(f"{number:03d} sentensi", "sw") for number in range(10)]
    return write_documents(path, {"train": rows[::-1] if backwards else rows})


@given(
    available=SIZES,
    budget=st.integers(0, 10**9),
    temperature=st.floats(0, 1),
    max_repeats=st.integers(1, 4),
)
def test_budgets_stay_in_their_bounds(
    available: dict[str, int], budget: int, temperature: float, max_repeats: int
) -> None:
    budget = min(budget, sum(available.values()))
    shares = share_budget(available, budget, temperature=temperature, max_repeats=max_repeats)
    assert shares.keys() == available.keys()
    assert all(shares[name] <= max_repeats * size for name, size in available.items())
    # All is spent but for rounding: there is always enough text for the budget.
    assert budget - len(available) - budget * 1e-9 <= sum(shares.values())


def test_temperature_decides_the_shares() -> None:
    available = {"en": 10_000, "sw": 100}
    options = {"budget": 2_000, "max_repeats": 4}
    assert share_budget(available, temperature=1, **options) == {"en": 1980, "sw": 19}
    assert share_budget(available, temperature=0.5, **options) == {"en": 1818, "sw": 181}
    assert share_budget(available, temperature=0, **options) == {"en": 1600, "sw": 400}


def test_a_sample_smaller_than_the_corpus(tmp_path: Path) -> None:
    documents = corpus(tmp_path / "corpus")
    spec = TokenizerSpec(sample_max_bytes=1_000, temperature=0, max_repeats=1)
    sample = plan_sample(documents, spec)
    texts = [text for batch in read_sample(documents, sample) for text in batch.texts]
    total = sum(len(text.encode()) for text in texts)
    # A cut inside a character loses at most three bytes per language.
    assert 1_000 - 6 <= total <= 1_000
    assert sample.bytes_by_language == {"ko": 880, "sw": 120}


def test_small_languages_are_repeated(tmp_path: Path) -> None:
    documents = corpus(tmp_path / "corpus")
    sample = plan_sample(documents, TokenizerSpec(temperature=0, max_repeats=3))
    texts = [text for batch in read_sample(documents, sample) for text in batch.texts]
    assert sorted(t for t in texts if "sentensi" in t) == sorted(
        f"{number:03d} sentensi" for number in range(10) for _ in range(3)
    )


def test_proportional_sample_of_everything_is_the_corpus(tmp_path: Path) -> None:
    documents = corpus(tmp_path / "corpus")
    sample = plan_sample(documents, TokenizerSpec(temperature=1))
    texts = [text for batch in read_sample(documents, sample) for text in batch.texts]
    assert len(texts) == 210
    assert len(set(texts)) == 210


@pytest.mark.parametrize("seed", [0, 1])
def test_the_order_of_documents_does_not_matter(tmp_path: Path, seed: int) -> None:
    spec = TokenizerSpec(sample_max_bytes=2_000, seed=seed)
    texts = []
    for backwards in (False, True):
        documents = corpus(tmp_path / f"corpus-{backwards}", backwards=backwards)
        batches = read_sample(documents, plan_sample(documents, spec))
        texts.append({text for batch in batches for text in batch.texts})
    assert texts[0] == texts[1]


def test_the_seed_matters(tmp_path: Path) -> None:
    documents = corpus(tmp_path / "corpus")
    taken = [
        plan_sample(documents, TokenizerSpec(sample_max_bytes=2_000, seed=seed)).num_bytes.tolist()
        for seed in (0, 1)
    ]
    assert taken[0] != taken[1]
