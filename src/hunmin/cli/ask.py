"""`hunmin ask`: what a model understands."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hunmin.cli.stdin import read_stdin_lines
from hunmin.core.extras import require
from hunmin.core.tables import align_columns

if TYPE_CHECKING:
    from hunmin.adapt.nlu.decode import Parse

COLORS = ("cyan", "magenta", "green", "yellow", "blue")


@click.command("ask")
@click.argument("model_folder", type=click.Path(path_type=Path))
@click.argument("texts", nargs=-1, required=True, metavar="TEXT...")
@click.option(
    "--locale", default="", metavar="TAG",
    help="Language of the texts, such as ko or ko-KR; models that tag each word need it for "
    "languages written without spaces.",
)  # fmt: skip
@click.option(
    "--n-best", "num_best", type=click.IntRange(1, 100), default=3, show_default=True, metavar="N",
    help="Intents to name.",
)  # fmt: skip
@click.option(
    "--precision", type=click.Choice(["int8", "float32"]), default="int8", show_default=True,
    help="Which network of an exported model.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per text.")
def command(
    model_folder: Path,
    texts: tuple[str, ...],
    locale: str,
    num_best: int,
    precision: str,
    as_json: bool,
) -> None:
    """Say what the NLU model in MODEL_FOLDER understands of TEXT: its intent and slots.

    MODEL_FOLDER is an exported model, a trained one, or a run with one. `-` takes each line of
    stdin as a text. A model that writes its labels as text (style=text) knows one intent, and
    sometimes writes what is no parse: then "intent" is null in JSON.

    \b
    hunmin ask runs/assistant "거실 불 켜줘" --locale ko
    hunmin ask runs/assistant/export - --json < utterances.txt
    """
    from hunmin.serving.nlu.records import parse_record

    read = list(_read(texts))
    if not read:
        raise click.UsageError("TEXT is -, and stdin has no line")
    parses = _parse(model_folder, read, locale, num_best, precision)
    for number, (text, parse) in enumerate(zip(read, parses, strict=True)):
        if as_json:
            click.echo(json.dumps(parse_record(number, text, parse), ensure_ascii=False))
        else:
            click.echo(("\n" if number else "") + "\n".join(_lines(text, parse)))


def _parse(
    folder: Path, texts: Sequence[str], locale: str, num_best: int, precision: str
) -> Sequence[Parse | None]:
    """Ask the model one text after the other: its meaning must not hang on those beside it."""
    from hunmin.serving.nlu.folder import is_text_model, open_parser

    if not is_text_model(folder):
        parser = open_parser(folder, precision="int8" if precision == "int8" else "float32")
        return parser.parse(texts, locale, batch_size=1, num_best=num_best)
    for package in ("torch", "transformers"):
        require(package, extra="train")
    from hunmin.adapt.nlu.text_model import load_text_model

    model = load_text_model(folder)
    return [parse for text in texts for parse in model.parse([text], locale)]


def _read(texts: Sequence[str]) -> Iterator[str]:
    for text in texts:
        if text == "-":
            yield from read_stdin_lines()
        else:
            yield text


def _lines(text: str, parse: Parse | None) -> Iterator[str]:
    """Yield the text with its slots, the intents, and the slots with their places."""
    if parse is None:
        yield text
        yield "  no parse: the model did not write a label it knows for each word, and an intent"
        return
    colors = _colors(parse)
    yield _mark(text, parse, colors)
    for number, (name, score) in enumerate(parse.n_best):
        line = f"  {score:6.1%}  {name}"
        yield click.style(line, bold=True) if number == 0 else line
    rows = [
        (f"  {slot.type}", slot.value, f"{slot.first_character}-{slot.end_character}",
         f"{slot.score:.1%}")
        for slot in parse.slots
    ]  # fmt: skip
    for slot, line in zip(parse.slots, align_columns(rows) if rows else [], strict=True):
        yield click.style(line, fg=colors[slot.type])
    if parse.truncated_at is not None:
        yield f"  read up to character {parse.truncated_at}: the rest is too long for the model"


def _colors(parse: Parse) -> dict[str, str]:
    types = dict.fromkeys(slot.type for slot in parse.slots)
    return {name: COLORS[number % len(COLORS)] for number, name in enumerate(types)}


def _mark(text: str, parse: Parse, colors: dict[str, str]) -> str:
    """Put brackets and colours around the slots, as annotated data has them."""
    pieces, end = [], 0
    for slot in parse.slots:
        marked = f"[{slot.type} : {slot.value}]"
        pieces += [text[end : slot.first_character], click.style(marked, fg=colors[slot.type])]
        end = slot.end_character
    return "".join([*pieces, text[end:]])
