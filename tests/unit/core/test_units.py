"""Numbers as people write and read them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunmin.core import extras
from hunmin.core.errors import InputError, MissingExtraError
from hunmin.core.extras import require
from hunmin.core.hashing import seed_from, stable_hash
from hunmin.core.units import (
    format_bandwidth,
    format_bytes,
    format_count,
    format_duration,
    format_flops,
    format_network,
    format_rate,
    parse_bandwidth,
    parse_bytes,
    parse_count,
    parse_device_hours,
    parse_flops,
    parse_seconds,
    parse_tokens,
)


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


@pytest.mark.parametrize(
    ("text", "bytes_per_second"),
    [
        ("400Gbps", 5e10),
        ("400 gbps", 5e10),
        ("400 Gb/s", 5e10),
        ("400 Gbit/s", 5e10),
        ("3.2 Tbps", 4e11),
        ("50 GB/s", 5e10),
        ("50GBps", 5e10),
        ("1,600 Gbps", 2e11),
        ("1 GiB/s", 2.0**30),
        ("0 Gbps", 0.0),
    ],
)
def test_bandwidths_tell_bits_from_bytes(text: str, bytes_per_second: float) -> None:
    assert parse_bandwidth(text) == bytes_per_second


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("400GB", "say a second: 400GB/s"),
        ("400 Gb", "say a second: 400 Gb/s"),
        ("400gb/s", "bits or bytes"),
        ("400 GBPS", "bits or bytes"),
        ("400", "needs its unit"),
        ("1,5 GB/s", "not a bandwidth"),
        ("-1 GB/s", "not a bandwidth"),
        ("1e999 GB/s", "too large"),
        ("fast", "not a bandwidth"),
    ],
)
def test_bandwidths_that_are_none(text: str, advice: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_bandwidth(text, where="--network")
    message = str(caught.value)
    assert message.startswith("--network: ")
    assert advice in message
    assert repr(text) in message
    assert "400Gbps" in message


@pytest.mark.parametrize(
    ("text", "num_bytes"),
    [
        ("40 GB", 40_000_000_000),
        ("80GiB", 80 * 2**30),
        ("40gb", 40_000_000_000),
        ("1.5 TB", 1_500_000_000_000),
        ("512 B", 512),
        ("2 bytes", 2),
    ],
)
def test_bytes_are_decimal_or_binary(text: str, num_bytes: int) -> None:
    assert parse_bytes(text) == num_bytes
    assert isinstance(parse_bytes(text), int)


@pytest.mark.parametrize(
    ("text", "advice"),
    [("40Gb", "gigabits"), ("40G", "GB or GiB"), ("40", "needs its unit"), ("GB", "not a number")],
)
def test_bytes_that_are_none(text: str, advice: str) -> None:
    with pytest.raises(InputError, match=rf"^memory: [\s\S]*{advice}"):
        parse_bytes(text, where="memory")


@pytest.mark.parametrize("text", ["312 TFLOPS", "312 TFLOP/s", "312 tflops", "0.312PFLOPS"])
def test_rates_of_operations(text: str) -> None:
    assert parse_flops(text) == 3.12e14


@pytest.mark.parametrize(
    ("text", "advice"),
    [("312 TFLOP", "say a second: 312 TFLOP/s"), ("312", "needs its unit"), ("312T", "not a rate")],
)
def test_rates_of_operations_that_are_none(text: str, advice: str) -> None:
    with pytest.raises(InputError, match=rf"^peak: [\s\S]*{advice}"):
        parse_flops(text, where="peak")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5us", 5e-6),
        ("25 µs", 25e-6),
        ("30 ms", 0.03),
        ("12 s", 12.0),
        ("2 h", 7200.0),
        ("1 h 30 min", 5400.0),
        ("13.4 days", 13.4 * 86_400),
        ("1 week", 604_800.0),
        ("1e-6 s", 1e-6),
    ],
)
def test_times(text: str, seconds: float) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize(
    ("text", "advice"),
    [("5 m", "minutes or months"), ("5", "not a time"), ("2 h 3", "not a time"), ("h", "30 ms")],
)
def test_times_that_are_none(text: str, advice: str) -> None:
    with pytest.raises(InputError, match=rf"^latency: [\s\S]*{advice}"):
        parse_seconds(text, where="latency")


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("10000gpu-hours", 10_000.0),
        ("10000 GPU hours", 10_000.0),
        ("10k gpu-h", 10_000.0),
        ("1.5M device-hours", 1_500_000.0),
        ("500 gpu-days", 12_000.0),
    ],
)
def test_device_hours(text: str, hours: float) -> None:
    assert parse_device_hours(text) == hours


@pytest.mark.parametrize("text", ["10000", "100 h", "10 gpus", ""])
def test_device_hours_that_are_none(text: str) -> None:
    with pytest.raises(InputError, match=r"^--budget: [\s\S]*gpu-hours"):
        parse_device_hours(text, where="--budget")


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("300B tokens", 300 * 10**9), ("300B", 300 * 10**9), ("1 token", 1), (12, 12)],
)
def test_tokens(text: str | int, tokens: int) -> None:
    assert parse_tokens(text) == tokens


@pytest.mark.parametrize("text", ["tokens", "3X tokens", "300B words", ""])
def test_tokens_that_are_none(text: str) -> None:
    with pytest.raises(InputError, match=r"^--tokens: not a number of tokens[\s\S]*300B"):
        parse_tokens(text, where="--tokens")


def test_formats_of_rates() -> None:
    assert format_bandwidth(3e11) == "300 GB/s"
    assert format_network(5e10) == "400 Gbps"
    assert format_network(4e11) == "3.2 Tbps"
    assert format_flops(3.12e14) == "312 TFLOPS"
    assert format_flops(1.979e15) == "1.98 PFLOPS"
    assert format_flops(12) == "12 FLOPS"
    assert format_rate(12_345, "tokens") == "12.3K tokens/s"


@pytest.mark.parametrize(
    ("parse", "format_value"),
    [
        (parse_bandwidth, format_bandwidth),
        (parse_bandwidth, format_network),
        (parse_flops, format_flops),
        (parse_bytes, format_bytes),
    ],
)
@given(value=st.floats(min_value=1, max_value=9e16))
def test_what_is_printed_can_be_read(
    parse: Callable[[str], float], format_value: Callable[[float], str], value: float
) -> None:
    assert parse(format_value(value)) == pytest.approx(value, rel=0.006, abs=0.5)


@given(seconds=st.integers(min_value=0, max_value=10**7))
def test_printed_durations_can_be_read(seconds: int) -> None:
    minutes = 60 if seconds >= 3600 else 1
    assert parse_seconds(format_duration(seconds)) == seconds // minutes * minutes


@given(number=st.integers(min_value=1, max_value=10**6), prefix=st.sampled_from("kMGTP"))
def test_a_byte_is_eight_bits(number: int, prefix: str) -> None:
    of_bytes = parse_bandwidth(f"{number} {prefix}B/s")
    assert of_bytes == 8 * parse_bandwidth(f"{number} {prefix}b/s")
