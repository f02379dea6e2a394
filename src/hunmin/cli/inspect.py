"""`hunmin inspect PATH`: what an artifact is and what it was made from."""

from __future__ import annotations

from pathlib import Path

import click

from hunmin.cli.stage import shorten
from hunmin.core.artifact import Artifact, load_artifact, read_manifest
from hunmin.core.errors import HunminError
from hunmin.core.units import format_bytes


@click.command("inspect")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--no-verify", is_flag=True, help="Compare sizes only, not checksums.")
@click.option("--json", "as_json", is_flag=True, help="Print the manifest as JSON.")
def command(path: Path, no_verify: bool, as_json: bool) -> None:
    """Say what the artifact at PATH is, check that it is whole, and walk its lineage.

    \b
    hunmin inspect runs/quickstart/model
    """
    artifact = load_artifact(path, verify=not no_verify)
    if as_json:
        click.echo(artifact.manifest.model_dump_json(indent=2))
        return
    click.echo("\n".join(_describe(artifact, verified=not no_verify)))


def _describe(artifact: Artifact, *, verified: bool) -> list[str]:
    manifest = artifact.manifest
    size = sum(record.bytes for record in manifest.files.values())
    checked = "checksums agree" if verified else "sizes agree, checksums not compared"
    lines = [
        f"{artifact.path}: {manifest.kind}, {len(manifest.files)} files, {format_bytes(size)}",
        f"  digest   {artifact.digest[:16]}  ({checked})",
        f"  written  {manifest.created} by hunmin {manifest.hunmin}, commit {manifest.commit}",
        "  facts",
    ]
    lines += [f"    {key}: {shorten(value, width=90)}" for key, value in manifest.facts.items()]
    return [*lines, "  made from", *_lineage(artifact, depth=2)]


def _lineage(artifact: Artifact, depth: int) -> list[str]:
    """Return one indented line per ancestor, nearest first."""
    if not artifact.manifest.inputs:
        return [f"{'  ' * depth}(nothing that is an artifact)"]
    lines: list[str] = []
    for record in artifact.manifest.inputs:
        parent, state = _find_parent(Path(record.path), record.digest)
        lines.append(f"{'  ' * depth}{record.kind} {record.digest[:16]}  {record.path}{state}")
        if parent is not None and parent.manifest.inputs:
            lines += _lineage(parent, depth + 1)
    return lines


def _find_parent(path: Path, digest: str) -> tuple[Artifact | None, str]:
    try:
        parent = Artifact(path, read_manifest(path))
    except HunminError:
        return None, "  (no longer there)"
    return (parent, "") if parent.digest == digest else (None, "  (replaced since)")
