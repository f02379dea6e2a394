"""`hunmin tokenizer`: train one, or look at what it does to a text."""

from __future__ import annotations

import json
from pathlib import Path

import click

from hunmin.cli.stage import stage_command
from hunmin.cli.stdin import read_stdin_lines
from hunmin.cli.tokenizer_extend import command as extend_command


class TrainByDefault(click.Group):
    """A group that takes `hunmin tokenizer RECIPE` as `hunmin tokenizer train RECIPE`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `train` before a word that is no command."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            args = ["train", *args]
        return super().parse_args(ctx, args)


@click.group("tokenizer", cls=TrainByDefault)
def command() -> None:
    """Train a tokenizer, or look at what it does to a text.

    \b
    hunmin tokenizer train recipes/quickstart.yaml
    hunmin tokenizer inspect "거실 불 켜줘" --tokenizer runs/quickstart/tokenizer
    """


command.add_command(
    stage_command(
        "tokenizer",
        """Train the recipe's tokenizer.

Stages it needs are run first unless they are up to date. Prints the folder of the result.
""",
    ),
    name="train",
)


command.add_command(extend_command)


@command.command("inspect")
@click.argument("text")
@click.option(
    "--tokenizer",
    "folder",
    type=click.Path(path_type=Path),
    default=Path("runs/quickstart/tokenizer"),
    show_default=True,
    help="A tokenizer or model folder.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the pieces as JSON.")
def inspect_text(text: str, folder: Path, as_json: bool) -> None:
    """Show the pieces of TEXT with their ids and bytes; `-` reads it from stdin."""
    from hunmin.tokenizer.inspect import inspect_pieces, render_pieces
    from hunmin.tokenizer.load import load_tokenizer

    content = "\n".join(read_stdin_lines()) if text == "-" else text
    pieces = inspect_pieces(load_tokenizer(folder), content)
    if as_json:
        click.echo(json.dumps([piece.as_dict() for piece in pieces], ensure_ascii=False, indent=2))
    else:
        click.echo(render_pieces(pieces))
