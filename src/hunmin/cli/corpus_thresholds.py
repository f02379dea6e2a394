"""`hunmin corpus thresholds`: limits of the quality rules for a language, from trusted text."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command("thresholds", short_help="Filters for a language, from text that you trust.")
@click.argument("trusted", nargs=-1, required=True, metavar="[NAME=]PATH[:FIELD]...")
@click.option("--language", required=True, metavar="TAG", help="BCP 47 tag, such as sw or az-Latn.")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The file of thresholds, .yaml; without it the proposal is only shown.",
)
@click.option(
    "--against",
    multiple=True,
    metavar="[NAME=]PATH[:FIELD]",
    help="Other text, to see what would be dropped of it: web pages, other languages. May be "
    "repeated; a column each.",
)
@click.option(
    "--unit",
    type=click.Choice(["file", "paragraph", "line"]),
    default="paragraph",
    show_default=True,
    help="What one text of a .txt file is; paragraphs are parted by empty lines.",
)
@click.option(
    "--kind",
    type=click.Choice(["auto", "documents", "pieces"]),
    default="auto",
    show_default=True,
    help="Documents are measured as they are; pieces (sentences) are put together first.",
)
@click.option(
    "--quantile",
    type=float,
    default=0.002,
    show_default=True,
    help="Share of the trusted documents that one rule may drop, before the margin.",
)
@click.option(
    "--margin",
    type=float,
    default=0.25,
    show_default=True,
    help="How much farther out a limit lies, as a share of its distance from the median.",
)
@click.option(
    "--stop-words",
    type=click.IntRange(0),
    default=50,
    show_default=True,
    metavar="N",
    help="Commonest words to take as stop words, if hunmin knows none of the language.",
)
@click.option(
    "--max-bytes",
    type=click.IntRange(1),
    default=20_000_000,
    show_default=True,
    metavar="N",
    help="Most bytes of each path; a sample is enough.",
)
@click.option("--json", "as_json", is_flag=True, help="Print all numbers as JSON.")
def command(
    trusted: tuple[str, ...],
    language: str,
    out: Path | None,
    against: tuple[str, ...],
    unit: str,
    kind: str,
    quantile: float,
    margin: float,
    stop_words: int,
    max_bytes: int,
    as_json: bool,
) -> None:
    """Propose thresholds of the quality filters for a language, from text that you trust.

    A PATH is a file or a folder (.txt, .jsonl, .parquet, .csv, .tsv, packed or not), FIELD what
    holds the text; or a documents artifact, of which the train split in this language is read.

    \b
    hunmin corpus thresholds news.jsonl:body --language sw -o thresholds-sw.yaml
    hunmin corpus thresholds sentences.txt --unit line --language yo \\
      --against web=pages/ --against hausa=ha.txt
    hunmin corpus build RECIPE 'corpus.filters.files=[thresholds-sw.yaml]'

    Shown is what each rule drops by itself of the trusted documents and of other text. Look through
    the file: it is a proposal, every number can be changed by hand.
    """
    from hunmin.corpus.filters.trial import of_language, try_thresholds
    from hunmin.corpus.filters.trial_text import (
        check_thresholds_path,
        terminal_lines,
        write_thresholds,
    )
    from hunmin.corpus.sources.named import Limits, read_named
    from hunmin.text.languages import language_name, normalize_tag

    tag = normalize_tag(language)
    if out is not None:
        check_thresholds_path(out)
    limits = Limits(max_bytes)
    good = read_named(trusted, unit=unit, language=tag, limits=limits)  # type: ignore[arg-type]
    other = read_named(against, unit=unit, limits=limits)  # type: ignore[arg-type]
    trial = try_thresholds(
        tag,
        of_language(good, tag),
        other,
        kind=kind,  # type: ignore[arg-type]
        quantile=quantile,
        margin=margin,
        num_stop_words=stop_words,
    )
    if as_json:
        click.echo(json.dumps(trial.as_json(), indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(terminal_lines(trial)))
    if out is not None:
        origin = f"Thresholds for {language_name(tag)}, proposed from {', '.join(trusted)}"
        write_thresholds(trial, out, origin=origin)
        click.echo(out, err=as_json)
