"""Settings: their bounds, and how people change them."""

from __future__ import annotations

import pytest

from hunmin.core.errors import InputError
from hunmin.serving.settings import change_setting, check_settings
from hunmin.serving.spec import MAX_STOP_STRINGS, SamplingParams


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", -0.1),
        ("temperature", float("nan")),
        ("top_k", 0),
        ("top_p", 0),
        ("top_p", 1.1),
        ("repetition_penalty", 0),
        ("min_tokens", -1),
        ("max_tokens", -1),
        ("max_tokens", None),
        ("seed", 2**64),
        ("logprobs", 21),
        ("stop", [""]),
        ("stop", ["x"] * (MAX_STOP_STRINGS + 1)),
        ("stop", 5),
    ],
)
def test_values_out_of_bounds_name_the_setting_and_what_was_given(name: str, value: object) -> None:
    with pytest.raises(InputError) as caught:
        check_settings({name: value})
    assert str(caught.value).startswith(f"{name}")
    assert "given:" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "typed", "value"),
    [
        ("temperature", "0.7", 0.7),
        ("top_k", "5", 5),
        ("top_k", "none", None),
        ("seed", "off", None),
        ("stop", "\\n", ("\n",)),
        ("stop", "끝 .", ("끝 .",)),
        ("stop", "none", ()),
    ],
)
def test_settings_are_changed_as_typed(name: str, typed: str, value: object) -> None:
    start = SamplingParams(top_k=3, seed=1, stop=("x",))
    assert getattr(change_setting(start, name, typed), name) == value


def test_an_unknown_setting_gets_a_suggestion() -> None:
    with pytest.raises(InputError, match="Did you mean 'temperature'") as caught:
        change_setting(SamplingParams(), "temper", "1")
    assert "allowed: temperature, top_k" in str(caught.value)


def test_one_stop_string_needs_no_list() -> None:
    assert SamplingParams(stop="END").stop == ("END",)  # type: ignore[arg-type]
