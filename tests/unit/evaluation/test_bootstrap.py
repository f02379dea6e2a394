import math

import numpy as np
import pyarrow as pa
import pytest

from hunmin.core.estimates import MIN_GROUPS, resampled_sums
from hunmin.evaluation.bootstrap import Summary
from hunmin.evaluation.results import MODEL, NGRAM, ORDER_ZERO


def table(num_documents=40, num_groups=20, seed=0, languages=("de", "ko"), group_effect=0.0):
    generator = np.random.default_rng(seed)
    groups = np.arange(num_documents) % num_groups
    num_bytes = generator.integers(5, 50, num_documents)
    noise = generator.uniform(0.5, 1.5, num_documents)
    noise += group_effect * generator.uniform(-1, 1, num_groups)[groups]
    return pa.table(
        {
            "language": [languages[i % len(languages)] for i in range(num_documents)],
            "source": ["intents"] * num_documents,
            "group": [f"group {g}" for g in groups],
            "num_bytes": num_bytes,
            "num_tokens": num_bytes // 3 + 1,
            f"{MODEL}_nats": num_bytes * noise,
            f"{NGRAM}_nats": num_bytes * noise * 1.25,
            f"{ORDER_ZERO}_nats": num_bytes * 4.0,
        }
    )


def summary(scores, seed=0, num_resamples=400):
    return Summary(scores, num_resamples=num_resamples, seed=seed)


def test_values_are_ratios_of_sums():
    scores = table()
    found = summary(scores).overall()
    columns = {name: scores[name].to_numpy() for name in ("num_bytes", "num_tokens", "model_nats")}
    nats = columns["model_nats"].sum()
    model = found.scores[MODEL]
    bits = nats / math.log(2) / columns["num_bytes"].sum()
    assert model.bits_per_byte.value == pytest.approx(bits)
    loss = nats / columns["num_tokens"].sum()
    assert model.loss_per_token.value == pytest.approx(loss)
    assert model.perplexity_per_token.value == pytest.approx(math.exp(loss))
    assert found.num_documents == 40
    assert found.num_groups == 20
    assert found.num_bytes == columns["num_bytes"].sum()
    assert found.scores[ORDER_ZERO].bits_per_byte.value == pytest.approx(4 / math.log(2))
    assert found.scores[ORDER_ZERO].loss_per_token is None


def test_languages_and_sources_add_up():
    found = summary(table())
    languages = found.by_language()
    assert list(languages) == ["de", "ko"]
    assert sum(a.num_bytes for a in languages.values()) == found.overall().num_bytes
    only = found.by_source()["intents"]
    overall = found.overall()
    assert only.scores[MODEL].bits_per_byte.value == overall.scores[MODEL].bits_per_byte.value
    values = [a.scores[MODEL].bits_per_byte.value for a in languages.values()]
    mean = found.language_mean()
    assert mean.num_languages == 2
    assert mean.bits_per_byte[MODEL].value == pytest.approx(np.mean(values))


def test_interval_holds_the_value_and_repeats_with_the_seed():
    first = summary(table(), seed=1).overall().scores[MODEL].bits_per_byte
    assert first.low < first.value < first.high
    assert first == summary(table(), seed=1).overall().scores[MODEL].bits_per_byte
    assert first.low != summary(table(), seed=2).overall().scores[MODEL].bits_per_byte.low


def test_interval_of_a_language_does_not_hang_on_the_others():
    scores = table()
    korean = scores.filter(pa.array([tag == "ko" for tag in scores["language"].to_pylist()]))
    assert summary(scores).by_language()["ko"] == summary(korean).by_language()["ko"]


def test_differences_are_paired():
    # The baseline is a fixed multiple of the model: most of the spread is common to both.
    gain = summary(table()).overall().gain_over_ngram
    model = summary(table()).overall().scores[MODEL].bits_per_byte
    assert gain.value == pytest.approx(0.25 * model.value)
    assert gain.high - gain.low == pytest.approx(0.25 * (model.high - model.low))


def test_few_groups_have_no_interval():
    scores = table(num_groups=MIN_GROUPS - 1)
    found = summary(scores).overall()
    assert found.num_groups == MIN_GROUPS - 1
    assert found.scores[MODEL].bits_per_byte.low is None
    assert found.gain_over_ngram.high is None


def test_dependent_documents_widen_the_interval():
    scores = table(num_documents=2000, num_groups=50, group_effect=0.4)
    independent = scores.set_column(2, "group", pa.array([str(i) for i in range(2000)]))

    def width(rows):
        interval = summary(rows).overall().scores[MODEL].bits_per_byte
        return interval.high - interval.low

    assert width(scores) > 2 * width(independent)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    generator = np.random.default_rng(5)
    covered = 0
    for trial in range(100):
        values = np.stack([np.ones(60), generator.exponential(1.0, 60)], axis=1)
        sums = np.vstack([*resampled_sums(values, 300, seed=trial)])
        low, high = np.percentile(sums[:, 1] / sums[:, 0], [2.5, 97.5])
        covered += low <= 1.0 <= high
    assert 85 <= covered <= 100


def test_resamples_keep_their_size_and_do_not_hang_on_the_piece(monkeypatch):
    values = np.stack([np.ones(7), np.arange(7.0)], axis=1)
    whole = np.vstack([*resampled_sums(values, 50, seed=3)])
    monkeypatch.setattr("hunmin.core.estimates.MAX_CELLS", 21)
    pieces = [*resampled_sums(values, 50, seed=3)]
    assert len(pieces) == 17
    np.testing.assert_array_equal(whole, np.vstack(pieces))
    assert (whole[:, 0] == 7).all()
