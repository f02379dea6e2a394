"""The mixture of a run: weights, temperature, up-weighting, most epochs; laws and examples."""

from __future__ import annotations

import logging
import math
import re
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hunmin.core.errors import InputError
from hunmin.data.grouping import Grouping
from hunmin.data.mixing import MixturePlan, log_mixture, plan_mixture, repetition_warning
from hunmin.data.spec import DataSpec

BOTH = "language and source"
TOKENS = {"en": 10_000, "ko": 2_500, "sw": 100}
NESTED = {"en/web": 8_000, "en/wiki": 2_000, "ko/web": 1_500, "ko/wiki": 500, "sw/web": 100}

LANGUAGES, SOURCES = ("ko", "en", "sw", "zh-Hant"), ("web", "wiki", "news/2024")
SIZES = st.dictionaries(
    st.sampled_from([f"{language}/{source}" for language in LANGUAGES for source in SOURCES]),
    st.integers(1, 10**9),
    min_size=1,
)
TEMPERATURES = st.sampled_from([0.0, 0.3, 0.7, 1.0])
FACTORS = st.dictionaries(st.sampled_from([*LANGUAGES, *SOURCES]), st.floats(0.1, 20), max_size=3)


def shares(
    tokens: dict[str, int], run_tokens: int | None = None, **fields: Any
) -> dict[str, float]:
    return plan_mixture(tokens, DataSpec.model_validate(fields), run_tokens).shares


def normalized(values: list[float]) -> list[float]:
    return [value / sum(values) for value in values]


@pytest.mark.parametrize(
    ("temperature", "expected"),
    [(1, [10_000, 2_500, 100]), (0.5, [100, 50, 10]), (0, [1, 1, 1])],
)
def test_temperature(temperature: float, expected: list[float]) -> None:
    found = shares(TOKENS, temperature=temperature)
    assert list(found) == list(TOKENS)
    assert list(found.values()) == pytest.approx(normalized(expected))


def test_temperature_among_languages_leaves_sources_in_proportion() -> None:
    found = shares(NESTED, mix_by=BOTH, temperature=0.0)
    assert found == pytest.approx(
        {
            "en/web": 0.8 / 3,
            "en/wiki": 0.2 / 3,
            "ko/web": 0.25,
            "ko/wiki": 0.25 / 3,
            "sw/web": 1 / 3,
        }
    )
    found = shares(NESTED, mix_by=BOTH, temperature=0.0, source_temperature=0.0)
    assert found == pytest.approx(dict.fromkeys(NESTED, 1 / 6) | {"sw/web": 1 / 3})


def test_weights_set_shares_and_the_rest_follows_temperature() -> None:
    assert shares(TOKENS, weights={"ko": 0.45}, temperature=0.5) == pytest.approx(
        {"en": 0.5, "ko": 0.45, "sw": 0.05}
    )
    assert shares(TOKENS, weights={"en": 0}, temperature=0) == pytest.approx(
        {"en": 0, "ko": 0.5, "sw": 0.5}
    )
    assert shares(TOKENS, weights={"en": 2, "ko": 1, "sw": 1}) == pytest.approx(
        {"en": 0.5, "ko": 0.25, "sw": 0.25}
    )


def test_weights_by_language_source_and_group_hold_at_once() -> None:
    weights = {"ko": 0.6, "wiki": 0.2, "ko/wiki": 0.15}
    found = shares(NESTED, mix_by=BOTH, weights=weights)
    assert found["ko/wiki"] == pytest.approx(0.15)
    assert found["ko/wiki"] + found["ko/web"] == pytest.approx(0.6)
    assert found["ko/wiki"] + found["en/wiki"] == pytest.approx(0.2)
    assert found["en/web"] / found["sw/web"] == pytest.approx(80)


@pytest.mark.parametrize(
    ("off", "left"),
    [
        ("wiki", {"en/web", "ko/web", "sw/web"}),
        ("en", {"ko/web", "ko/wiki", "sw/web"}),
        ("ko/web", {"en/web", "en/wiki", "ko/wiki", "sw/web"}),
    ],
)
def test_zero_switches_off_by_any_name(off: str, left: set[str]) -> None:
    found = shares(NESTED, mix_by=BOTH, weights={off: 0})
    assert {name for name, share in found.items() if share} == left
    total = sum(NESTED[name] for name in left)
    assert all(found[name] == pytest.approx(NESTED[name] / total) for name in left)


def test_zero_wins_over_another_name_of_the_same_group() -> None:
    found = shares(NESTED, mix_by=BOTH, weights={"wiki": 0, "ko": 0.5})
    assert found == pytest.approx(
        {"en/web": 0.5 * 80 / 81, "en/wiki": 0, "ko/web": 0.5, "ko/wiki": 0, "sw/web": 0.5 / 81}
    )


def test_upweighting_keeps_a_weight_and_shifts_within_it() -> None:
    found = shares(NESTED, mix_by=BOTH, weights={"ko": 0.5}, upweight={"wiki": 3})
    assert found["ko/wiki"] == pytest.approx(found["ko/web"]) == pytest.approx(0.25)


def test_factors_of_language_and_source_are_multiplied() -> None:
    found = shares(NESTED, mix_by=BOTH, upweight={"wiki": 10, "ko": 2})
    expected = [8_000, 20_000, 3_000, 10_000, 100]
    assert list(found.values()) == pytest.approx(normalized(expected))


@given(sizes=SIZES, upweight=FACTORS, temperature=TEMPERATURES, sources=TEMPERATURES)
def test_shares_sum_to_one_whatever_the_order(
    sizes: dict[str, int], upweight: dict[str, float], temperature: float, sources: float
) -> None:
    known = {part for name in sizes for part in name.split("/", 1)}
    fields: dict[str, Any] = {
        "mix_by": BOTH,
        "temperature": temperature,
        "source_temperature": sources,
        "upweight": {name: factor for name, factor in upweight.items() if name in known},
    }
    found = shares(sizes, **fields)
    assert math.fsum(found.values()) == pytest.approx(1)
    assert all(share > 0 for share in found.values())
    backwards = shares(dict(reversed(sizes.items())), **fields)
    assert backwards == found
    assert list(backwards) == list(reversed(found))


@given(sizes=SIZES, factor=st.floats(0.1, 20), data=st.data())
def test_upweighting_multiplies_the_draws_of_a_document(
    sizes: dict[str, int], factor: float, data: st.DataObject
) -> None:
    """Against any other group, at temperature 1; in general it is like so many more tokens."""
    name = data.draw(st.sampled_from(sorted(sizes)))
    before = plan_mixture(sizes, DataSpec(mix_by=BOTH))
    after = plan_mixture(sizes, DataSpec(mix_by=BOTH, upweight={name: factor}))
    epochs = {group.name: group.epochs for group in after.groups}
    for group in before.groups:
        assert group.epochs == pytest.approx(1)
        expected = factor if group.name == name else 1
        assert epochs[group.name] / epochs[name] == pytest.approx(expected / factor)


@given(sizes=SIZES, data=st.data(), temperature=TEMPERATURES)
def test_upweighting_is_like_copies_of_the_documents(
    sizes: dict[str, int], data: st.DataObject, temperature: float
) -> None:
    name = data.draw(st.sampled_from(sorted(sizes)))
    fields: dict[str, Any] = {"mix_by": BOTH, "temperature": temperature}
    copied = shares(sizes | {name: 10 * sizes[name]}, **fields)
    assert shares(sizes, upweight={name: 10}, **fields) == pytest.approx(copied)


@settings(max_examples=300)
@given(
    sizes=SIZES,
    temperature=TEMPERATURES,
    max_epochs=st.floats(0.5, 8),
    length=st.floats(0.01, 1),
    factor=st.floats(1, 100),
    data=st.data(),
)
def test_caps_hold_and_the_surplus_goes_to_the_others(
    sizes: dict[str, int],
    temperature: float,
    max_epochs: float,
    length: float,
    factor: float,
    data: st.DataObject,
) -> None:
    run_tokens = int(sum(sizes.values()) * max_epochs * length)
    assume(run_tokens > 0)
    name = data.draw(st.sampled_from(sorted(sizes)))
    fields: dict[str, Any] = {
        "mix_by": BOTH,
        "temperature": temperature,
        "upweight": {name: factor},
    }
    free = plan_mixture(sizes, DataSpec(**fields), run_tokens)
    plan = plan_mixture(sizes, DataSpec(max_epochs=max_epochs, **fields), run_tokens)
    assert math.fsum(plan.shares.values()) == pytest.approx(1)
    assert all(group.epochs <= max_epochs * (1 + 1e-6) for group in plan.groups)
    if all(group.epochs < max_epochs for group in free.groups):
        assert plan.shares == pytest.approx(free.shares)
    assert_same_rule(plan, free, max_epochs)


def assert_same_rule(plan: MixturePlan, free: MixturePlan, max_epochs: float) -> None:
    """Sources of a language that are below the cap keep their proportions, and gained."""
    grouping = Grouping(plan.shares, BOTH)
    for language in {grouping.branch(name) for name in plan.shares}:
        ratios = [
            group.share / free.shares[group.name]
            for group in plan.groups
            if grouping.branch(group.name) == language and group.epochs < max_epochs * (1 - 1e-6)
        ]
        assert ratios == pytest.approx(ratios[:1] * len(ratios))
        assert all(ratio > 1 - 1e-6 for ratio in ratios)


def test_what_a_source_cannot_take_stays_in_its_language() -> None:
    spec = DataSpec(mix_by=BOTH, weights={"ko": 0.5, "ko/wiki": 0.4}, max_epochs=4)
    plan = plan_mixture(NESTED, spec, 10_000)
    found = plan.shares
    assert found["ko/wiki"] == pytest.approx(4 * 500 / 10_000)
    assert found["ko/web"] == pytest.approx(0.5 - 0.2)
    assert {group.name: group.epochs for group in plan.groups}["ko/wiki"] == pytest.approx(4)


def test_what_a_language_cannot_take_goes_to_the_others() -> None:
    found = shares(TOKENS, 12_600, temperature=0, max_epochs=4)
    assert found["sw"] == pytest.approx(400 / 12_600)
    assert found["en"] == found["ko"]


def test_groups_that_are_left_out_take_no_surplus() -> None:
    found = shares(TOKENS, 10_000, weights={"en": 0}, max_epochs=4)
    assert found["en"] == 0
    assert found["sw"] == pytest.approx(100 / 2_600)


def test_a_run_as_long_as_the_cap_reads_all_equally_often() -> None:
    plan = plan_mixture(TOKENS, DataSpec(temperature=0, max_epochs=2), 25_250)
    assert [group.epochs for group in plan.groups] == pytest.approx([25_250 / 12_600] * 3)


def test_a_run_too_long_for_the_cap() -> None:
    with pytest.raises(InputError, match=r"longer than data.max_epochs") as caught:
        plan_mixture(TOKENS, DataSpec(max_epochs=2), 50_400)
    assert "2.00 times as long" in str(caught.value)
    assert "shorten train.duration" in str(caught.value)


def test_groups_read_too_often_are_named_with_what_to_change() -> None:
    spec = DataSpec(temperature=0.3)
    message = repetition_warning(plan_mixture(TOKENS, spec, 12_600), spec)
    assert message is not None
    assert "sw 16.6 times" in message
    assert "en" not in message.split(":")[1].split(".")[0]
    assert "data.max_epochs: 4" in message
    assert "raise data.temperature" in message
    assert "upweight" not in message


def test_other_causes_of_repetition() -> None:
    spec = DataSpec(weights={"sw": 0.5}, upweight={"ko": 10}, max_epochs=50)
    message = repetition_warning(plan_mixture(TOKENS, spec, 10_000), spec)
    assert message is not None
    assert "sw 50.0 times" in message
    changes = ("lower data.max_epochs", "lower their data.weights", "lower their data.upweight")
    assert all(change.lower() in message.lower() for change in changes)
    nested = DataSpec(mix_by=BOTH, source_temperature=0)
    message = repetition_warning(plan_mixture(NESTED, nested, 100_000), nested)
    assert message is not None
    assert "raise data.source_temperature" in message


def test_many_repeated_groups_make_a_short_warning() -> None:
    sizes = {f"l{number}": 100 + number for number in range(20)}
    message = repetition_warning(plan_mixture(sizes, DataSpec(), 100_000), DataSpec())
    assert message is not None
    assert "and 15 more groups" in message


def test_no_warning_within_the_advice() -> None:
    spec = DataSpec(max_epochs=4, temperature=0)
    assert repetition_warning(plan_mixture(TOKENS, spec, 12_600), spec) is None
    assert repetition_warning(plan_mixture(TOKENS, DataSpec(), 4 * 12_600), DataSpec()) is None


def test_the_table_and_the_rows() -> None:
    plan = plan_mixture(TOKENS, DataSpec(weights={"ko": 0.5}), 5_000)
    lines = plan.table()
    assert lines[0].split() == ["group", "tokens", "share", "epochs"]
    assert lines[1].split() == ["ko", "2.5K", "50.00%", "1.00"]
    assert plan.as_json()[1] == {"name": "ko", "tokens": 2_500, "share": 0.5, "epochs": 1.0}


def test_the_mixture_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    spec = DataSpec(temperature=0)
    with caplog.at_level(logging.INFO, logger="hunmin"):
        log_mixture(plan_mixture(TOKENS, spec, 12_600), spec)
    told, warned = caplog.records
    assert "33.33%" in told.getMessage()
    assert warned.levelname == "WARNING"
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="hunmin"):
        log_mixture(plan_mixture({"all": 100}, DataSpec(mix_by="none")), DataSpec(mix_by="none"))
    assert not caplog.records


def test_the_table_of_many_groups_is_short() -> None:
    sizes = {f"l{number:02d}": 1000 - number for number in range(62)}
    lines = plan_mixture(sizes, DataSpec()).table()
    assert len(lines) == 18
    assert lines[1].startswith("l00")
    assert lines[-1].split()[:2] == ["(46", "others)"]
    assert lines[-1].split()[-1] == "1.00"


@pytest.mark.parametrize(
    ("tokens", "fields", "message"),
    [
        (TOKENS, {"weights": {"kor": 1}}, r"no such group.*Did you mean 'ko'\?"),
        (TOKENS, {"upweight": {"wiki": 2}}, r"data\.upweight\.wiki.*both can be named"),
        (NESTED, {"mix_by": BOTH, "weights": {"wikis": 1}}, r"Did you mean 'wiki'\?"),
        (TOKENS, {"weights": {"ko": 1}}, "leave no samples for the other groups"),
        (TOKENS, {"weights": {"ko": 0.6, "en": 0.6}}, "leave no samples for the other groups"),
        (TOKENS, {"weights": dict.fromkeys(TOKENS, 0.0)}, "all weights are 0"),
        ({"ko/ko": 5, "en/ko": 5}, {"mix_by": BOTH, "weights": {"ko": 0.5}}, "have this name"),
        (NESTED, {"mix_by": BOTH, "weights": {"ko": 0.1, "ko/wiki": 0.2}}, "contradict"),
        (NESTED, {"mix_by": BOTH, "weights": {"sw": 0.1, "sw/web": 0.2}}, "contradict"),
        (NESTED, {"mix_by": BOTH, "weights": {"ko": 0, "ko/wiki": 0.2}}, "contradict"),
    ],
)
def test_bad_names_and_weights(tokens: dict[str, int], fields: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        shares(tokens, **fields)
    assert re.search(message, str(caught.value), re.DOTALL)


def test_names_of_other_splits_are_known() -> None:
    spec = DataSpec(mix_by=BOTH, weights={"sw": 0.5, "wiki": 0.1}, upweight={"sw": 2})
    found = plan_mixture({"ko/web": 1, "ko/wiki": 1}, spec, other_groups=NESTED).shares
    assert found == pytest.approx({"ko/web": 0.9, "ko/wiki": 0.1})
