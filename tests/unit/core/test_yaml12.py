"""YAML follows the 1.2 rules and knows where every value was written."""

import pytest

from hunmin.core.errors import RecipeError
from hunmin.core.yaml12 import parse_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("lang: no", "no"),
        ("lang: on", "on"),
        ("rate: 3e-4", 3e-4),
        ("rate: 1E3", 1000.0),
        ("time: 12:30:00", "12:30:00"),
        ("count: 1_000", 1000),
        ("count: 010", 10),
        ("date: 2026-01-02", "2026-01-02"),
        ("yes: true", True),
        ("nothing: null", None),
        ("empty:", None),
        ("tilde: ~", None),
        ("rate: .5", 0.5),
        ("rate: -.inf", float("-inf")),
        ("version: 1.2.3", "1.2.3"),
    ],
)
def test_scalars(text: str, value: object) -> None:
    parsed, _ = parse_yaml(text, "a.yaml")
    (result,) = parsed.values()
    assert result == value
    assert type(result) is type(value)


def test_places_are_lines_of_keys() -> None:
    _, places = parse_yaml("a:\n  b: 1\nc:\n  - x\n  - d: 2\n", "r.yaml")
    assert str(places["a", "b"]) == "r.yaml:2"
    assert str(places["c", 1, "d"]) == "r.yaml:5"


def test_a_key_that_stands_twice_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"r.yaml:3: the key 'a' stands twice[\s\S]*line 1"):
        parse_yaml("a: 1\nb: 2\na: 3\n", "r.yaml")


def test_bad_syntax_names_the_line() -> None:
    with pytest.raises(RecipeError, match=r"r.yaml:3: this is not valid YAML: expected"):
        parse_yaml("a: 1\nb: [1, 2\n", "r.yaml")
