"""`hunmin tokenizer inspect`: what a tokenizer does to a text, and which merges made it so."""

from __future__ import annotations

import json
from pathlib import Path

import click

from hunmin.cli.stdin import read_stdin_lines


@click.command("inspect")
@click.argument("text")
@click.option(
    "--tokenizer",
    "folder",
    type=click.Path(path_type=Path),
    default=Path("runs/quickstart/tokenizer"),
    show_default=True,
    help="A tokenizer or model folder.",
)
@click.option("--merges", "show_merges", is_flag=True, help="Show the merges that made each word.")
@click.option("--json", "as_json", is_flag=True, help="Print the pieces, or merges, as JSON.")
def command(text: str, folder: Path, show_merges: bool, as_json: bool) -> None:
    """Show the pieces of TEXT with their ids and bytes; `-` reads it from stdin.

    \b
    hunmin tokenizer inspect "거실 불 켜줘"
    hunmin tokenizer inspect "먹었습니다" --merges --tokenizer runs/ko/tokenizer

    With --merges each word (what merges cannot cross) is followed by the merges that made it, in
    the order they were applied; any folder with a BPE tokenizer.json will do.
    """
    content = "\n".join(read_stdin_lines()) if text == "-" else text
    rows, table = _merges(folder, content) if show_merges else _pieces(folder, content)
    click.echo(json.dumps(rows, ensure_ascii=False, indent=2) if as_json else table)


def _pieces(folder: Path, text: str) -> tuple[object, str]:
    from hunmin.tokenizer.inspect import inspect_pieces, render_pieces
    from hunmin.tokenizer.load import load_tokenizer

    pieces = inspect_pieces(load_tokenizer(folder), text)
    return [piece.as_dict() for piece in pieces], render_pieces(pieces)


def _merges(folder: Path, text: str) -> tuple[object, str]:
    from hunmin.tokenizer.compare.load import read_definition
    from hunmin.tokenizer.load import check_encodable
    from hunmin.tokenizer.merges import MergeTracer, render_merges

    check_encodable(text)
    definition, ours = read_definition(folder)
    words = MergeTracer(definition, ours.cutter if ours else None).trace(text)
    return [word.as_dict() for word in words], render_merges(words)
