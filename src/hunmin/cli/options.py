"""Options that many commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

PATHS = click.Path(path_type=Path)
"""A path that a command itself looks at: it says more of a missing one than click."""
_F = TypeVar("_F", bound=Callable[..., Any])

device_option = click.option(
    "--device", metavar="NAME", help="cpu, cuda, cuda:1 …  [default: a GPU if any]"
)


def out_option(what: str) -> Callable[[_F], _F]:
    """Make the option `--out FOLDER`.

    Args:
        what: What its help says.

    Returns:
        A decorator.
    """
    return click.option("--out", required=True, type=PATHS, metavar="FOLDER", help=what)


def json_option(what: str) -> Callable[[_F], _F]:
    """Make the flag `--json`, which the command takes as `as_json`.

    Args:
        what: What is printed as JSON, for its help.

    Returns:
        A decorator.
    """
    return click.option("--json", "as_json", is_flag=True, help=f"Print {what} as JSON.")
