"""The flags of all verbs that let a model write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from hunmin.serving.settings import check_settings
from hunmin.serving.spec import SamplingParams

DEFAULT_TEMPERATURE = 0.8


def sampling_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the flags that decide how tokens are chosen and when a text ends."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


_OPTIONS = (
    click.option(
        "--max-tokens", type=click.IntRange(1), default=128, show_default=True, metavar="N",
        help="End after this many tokens.",
    ),
    click.option(
        "--temperature", type=click.FloatRange(0, 100), default=DEFAULT_TEMPERATURE,
        show_default=True, metavar="X", help="0 always takes the likeliest token.",
    ),
    click.option(
        "--top-p", type=click.FloatRange(0, 1, min_open=True), default=1.0, show_default=True,
        metavar="P", help="Choose among the fewest tokens whose probabilities reach this sum.",
    ),
    click.option(
        "--top-k", type=click.IntRange(1), metavar="N",
        help="Choose among this many likeliest tokens.  [default: all]",
    ),
    click.option(
        "--repetition-penalty", type=click.FloatRange(0, 100, min_open=True), default=1.0,
        show_default=True, metavar="X", help="Above 1, tokens that were there become less likely.",
    ),
    click.option(
        "--seed", type=click.IntRange(-(2**63), 2**64 - 1), metavar="N",
        help="Repeat the same random choices.  [default: other ones each time]",
    ),
    click.option(
        "--stop", multiple=True, metavar="TEXT",
        help="End before this text; may be given several times.",
    ),
)  # fmt: skip


def sampling_params(flags: dict[str, Any]) -> SamplingParams:
    """Make settings from the flags that `sampling_options` adds."""
    return check_settings(flags)
