"""`hunmin corpus classifier`: a quality classifier of one's own from good and bad samples."""

from __future__ import annotations

import json
from pathlib import Path

import click

from hunmin.cli.many_values import ManyValuesCommand


@click.command(
    "classifier", cls=ManyValuesCommand, short_help="A filter from good and bad examples."
)
@click.option(
    "--good",
    multiple=True,
    required=True,
    metavar="[NAME=]PATH[:FIELD]...",
    help="Texts like those that you want.",
)
@click.option(
    "--bad",
    multiple=True,
    required=True,
    metavar="[NAME=]PATH[:FIELD]...",
    help="Texts like those that you do not want.",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Where the classifier goes; without it, it is only evaluated.",
)
@click.option(
    "--keep-share",
    type=float,
    metavar="SHARE",
    help="Choose the threshold that keeps this share, such as 0.7.",
)
@click.option(
    "--keep-of",
    multiple=True,
    metavar="[NAME=]PATH[:FIELD]...",
    help="Of which texts --keep-share keeps it: those you will filter.  "
    "[default: held-out samples]",
)
@click.option(
    "--precision",
    type=float,
    metavar="SHARE",
    help="Choose the lowest threshold at which this share of what is kept is good.",
)
@click.option(
    "--unit",
    type=click.Choice(["file", "paragraph", "line"]),
    default="paragraph",
    show_default=True,
    help="What one text of a .txt file is; paragraphs are parted by empty lines.",
)
@click.option(
    "--held-out",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.2,
    show_default=True,
    metavar="SHARE",
    help="Share of the samples to evaluate with.",
)
@click.option(
    "--max-bytes",
    type=click.IntRange(1),
    default=20_000_000,
    show_default=True,
    metavar="N",
    help="Most bytes of each path.",
)
@click.option("--json", "as_json", is_flag=True, help="Print all numbers as JSON.")
def command(
    good: tuple[str, ...],
    bad: tuple[str, ...],
    out: Path | None,
    keep_share: float | None,
    keep_of: tuple[str, ...],
    precision: float | None,
    unit: str,
    held_out: float,
    max_bytes: int,
    as_json: bool,
) -> None:
    """Train a classifier that tells text you want from text you do not want.

    A PATH is a file or a folder (.txt, .jsonl, .parquet, .csv, .tsv, packed or not), FIELD what
    holds the text; or a documents artifact, of which the train split is read.

    \b
    hunmin corpus classifier --good wiki.jsonl books/ --bad spam.jsonl:body -o classifiers/spam
    hunmin corpus classifier --good wiki.jsonl --bad spam.jsonl:body --precision 0.95 -o FOLDER
    hunmin corpus build RECIPE corpus.classifier.path=classifiers/spam

    A thousand samples of each kind are a start. A fifth of them is held out and told about: how
    well good and bad are parted, beside always giving the commoner answer, by source; whether a
    score of 0.8 means that four of five are good; and the texts it finds best and worst.
    """
    from hunmin.corpus.filters.classifier import TrainingOptions
    from hunmin.corpus.filters.train import (
        ThresholdChoice,
        check_classifier_folder,
        train_from_texts,
        write_training,
    )
    from hunmin.corpus.filters.train_text import report, terminal_lines
    from hunmin.corpus.sources.named import Limits, read_named

    if keep_of and keep_share is None:
        raise click.UsageError("--keep-of says of what --keep-share keeps a share: give both")
    if out is not None:
        check_classifier_folder(out)
    choice = ThresholdChoice(keep_share, (), precision)
    limits = Limits(max_bytes)
    wanted, unwanted, filtered = (
        read_named(paths, unit=unit, limits=limits, title=f"reading {kind} texts:")  # type: ignore[arg-type]
        for paths, kind in ((good, "good"), (bad, "bad"), (keep_of, "further"))
    )
    if filtered:
        choice = ThresholdChoice(keep_share, tuple(filtered), precision)
    training = train_from_texts(
        wanted, unwanted, choice=choice, options=TrainingOptions(held_out=held_out)
    )
    if as_json:
        click.echo(json.dumps(training.as_json(), indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(terminal_lines(training)))
    if out is not None:
        named = f"Good: {', '.join(good)}. Bad: {', '.join(bad)}."
        write_training(training, out, report(training, named))
        click.echo(out, err=as_json)
