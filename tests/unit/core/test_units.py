"""Numbers as people write and read them."""

from pathlib import Path

import pytest

from hunmin.core import extras
from hunmin.core.errors import InputError, MissingExtraError
from hunmin.core.extras import require
from hunmin.core.hashing import seed_from, stable_hash
from hunmin.core.units import format_bytes, format_count, format_duration, parse_count


@pytest.mark.parametrize(
    ("text", "count"),
    [("5M", 5_000_000), ("1.3B", 1_300_000_000), ("800k", 800_000), (12, 12), ("1_000", 1000)],
)
def test_parse_count(text: str | int, count: int) -> None:
    assert parse_count(text) == count


@pytest.mark.parametrize("text", ["", "five", "5X", "M", "-5M"])
def test_parse_count_refuses(text: str) -> None:
    with pytest.raises(InputError, match=r"not a count[\s\S]*allowed"):
        parse_count(text)


def test_formats() -> None:
    assert format_count(5_242_880) == "5.24M"
    assert format_count(12) == "12"
    assert format_bytes(1_500_000_000) == "1.5 GB"
    assert format_bytes(12) == "12 B"
    assert format_duration(3720) == "1 h 02 min"
    assert format_duration(200) == "3 min 20 s"
    assert format_duration(4.12) == "4.1 s"


def test_missing_extra_names_its_install_command() -> None:
    with pytest.raises(MissingExtraError, match=r"pip install .*\[train\]"):
        require("no_such_package_at_all", extra="train")


def test_seeds_depend_on_the_parts_alone() -> None:
    assert seed_from("ko", 1) == 13644929902661368373
    assert seed_from("ko", 1) != seed_from("ko1")
    assert seed_from("1") != seed_from(1)
    assert stable_hash({"a": 1, "b": 2}) == stable_hash({"b": 2, "a": 1})


def test_install_command_uses_the_checkout_and_quotes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "_checkout", lambda: Path("/home/a b/hunmin"))
    assert extras.install_command("train").endswith(
        "-c '/home/a b/hunmin/constraints/development.txt' -e '/home/a b/hunmin[train]'"
    )
    monkeypatch.setattr(extras, "_checkout", lambda: None)
    assert extras.install_command("train").endswith("-m pip install 'hunmin[train]'")
    assert extras.install_command("").endswith("-m pip install hunmin")
