"""`hunmin corpus mask`: what masking of personal data does to a text."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hunmin.cli.stdin import read_stdin_lines

if TYPE_CHECKING:
    from hunmin.corpus.privacy.stream import StreamMasker


@click.command("mask", short_help="Mask the personal data in a text.")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True), default="-")
@click.option(
    "--types",
    metavar="TYPE,…",
    help="What to mask: rrn, card, account, license, passport, phone, email, ip, business, "
    "coordinates; `all`, or `default,coordinates` for one more.  [default: all but the last two]",
)
@click.option(
    "--language",
    default="und",
    metavar="TAG",
    help="Language of the text: numbers of a country are then known without a word beside them.",
)
@click.option(
    "--explain", is_flag=True, help="Say on stderr what was found, where, by which pattern."
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object: text and counts.")
def command(file: Path, types: str | None, language: str, explain: bool, as_json: bool) -> None:
    """Mask the personal data in a text, to see what `corpus.privacy` in a recipe does.

    FILE is a text file in any known encoding, packed or not; without it, or with -, text is read
    from the terminal or a pipe, as UTF-8. The masked text goes to stdout, the counts to stderr.

    \b
    echo '문의: 010-1234-5678, kim@example.com' | hunmin corpus mask --language ko
    hunmin corpus mask letters.txt --types phone,email > masked.txt
    hunmin corpus mask letters.txt --explain > /dev/null

    Tokens such as <|phone|> take the place of what was found. That cannot be undone: neither the
    original nor a hash of it is kept. A paragraph is looked at as a whole, since a word such as
    "account" stands before the number; lines typed on a terminal one by one.
    """
    from pydantic import ValidationError

    from hunmin.core.errors import InputError
    from hunmin.corpus.privacy.mask import masker_for
    from hunmin.corpus.privacy.spec import PrivacySpec
    from hunmin.corpus.privacy.stream import StreamMasker, types_of
    from hunmin.text.languages import normalize_tag

    try:
        spec = PrivacySpec(types=types_of(types))
    except ValidationError as error:
        problem = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise InputError(problem, where="--types", given=types) from error
    is_typed = str(file) == "-" and sys.stdin.isatty()
    stream = StreamMasker(masker_for(spec), normalize_tag(language), by_line=is_typed)
    blocks = stream.masked(_lines(file), explain=explain)
    if as_json:
        text = "\n".join(blocks)
        counts = {name: stream.counts[name] for name in spec.types}
        click.echo(json.dumps({"text": text, "counts": counts}, ensure_ascii=False, indent=2))
    else:
        for block in blocks:
            click.echo(block)
            _tell(stream)
    _tell(stream)
    click.echo(stream.summary(), err=True)


def _tell(stream: StreamMasker) -> None:
    """Say what was found so far, and forget it."""
    for found in stream.findings:
        click.echo(f"line {found.line}: {found.type} ({found.pattern}): {found.original}", err=True)
    stream.findings.clear()


def _lines(file: Path) -> Iterator[str]:
    from hunmin.core.errors import TextEncodingError
    from hunmin.text.files import read_text_lines

    if str(file) != "-":
        yield from (line.text for line in read_text_lines(file))
        return
    for number, line in enumerate(read_stdin_lines(), 1):
        if not line.isascii() and any("\udc80" <= letter <= "\udcff" for letter in line):
            raise TextEncodingError(
                "these bytes are not UTF-8",
                where=f"stdin, line {number}",
                hint="name the FILE, whose encoding is found out, or convert it: iconv -t UTF-8",
            )
        yield line
