"""What commands that write one folder say at the end: the folder, or its facts as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from hunmin.core.artifact import Artifact


def say_artifact(artifact: Artifact, out: Path, *, as_json: bool) -> None:
    """Print the folder of an artifact, or its facts.

    Args:
        artifact: What was written.
        out: Its folder as the user named it.
        as_json: Whether to print path, kind and facts as a JSON object.
    """
    say_folder(out, {"kind": artifact.manifest.kind, **artifact.facts}, as_json=as_json)


def say_folder(out: Path, facts: Mapping[str, Any], *, as_json: bool) -> None:
    """Print a folder, or what is known of it.

    Args:
        out: The folder as the user named it.
        facts: JSON values by name.
        as_json: Whether to print the path and the facts as a JSON object.
    """
    if as_json:
        click.echo(json.dumps({"path": str(out), **facts}, ensure_ascii=False, indent=2))
    else:
        click.echo(out)
