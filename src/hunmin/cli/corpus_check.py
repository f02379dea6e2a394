"""`hunmin corpus check`: evaluation items in documents, or in what a model was trained on."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command("check", short_help="Evaluation items in documents, or behind a model.")
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option(
    "--sets",
    multiple=True,
    required=True,
    metavar="RECIPE|[NAME=]PATH[:FIELD]",
    help="What to look for: the sets of a recipe (.yaml), or a file of items, FIELD what holds "
    "them. May be repeated; files of one name are one set.",
)
@click.option(
    "--split",
    "splits",
    multiple=True,
    type=click.Choice(["train", "validation", "test"]),
    default=("train",),
    show_default=True,
    help="What to look through. May be repeated.",
)
@click.option(
    "--min-share",
    type=click.FloatRange(0, 1, min_open=True),
    metavar="SHARE",
    help="Share of an item that must stand in a document.  [default: the recipe's, or 0.3]",
)
@click.option(
    "--unit",
    type=click.Choice(["file", "paragraph", "line"]),
    default="line",
    show_default=True,
    help="What one item of a .txt file is.",
)
@click.option(
    "--examples",
    type=click.IntRange(0),
    default=3,
    show_default=True,
    metavar="N",
    help="Found items to show of each set.",
)
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Write a report with every item that was found.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
def command(
    artifact: Path,
    sets: tuple[str, ...],
    splits: tuple[str, ...],
    min_share: float | None,
    unit: str,
    examples: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Look evaluation items up in documents, or in what a model was trained on.

    ARTIFACT is a documents artifact, or a model, tokens or a tokenizer: then the documents that it
    was made from are looked through.

    \b
    hunmin corpus check runs/ko/corpus --sets recipes/corpus-korean.yaml
    hunmin corpus check runs/ko/model --sets klue=nli_dev.jsonl:premise --out runs/ko/check
    hunmin corpus check runs/ko/corpus --sets questions.txt --split validation --json

    An item counts as found if three tenths of its runs of 15 characters stand in one document,
    whatever became of spaces and case: the same search as `corpus.decontaminate` in a recipe, which
    drops such documents while a corpus is built. Ends with 0 also if some are found.
    """
    from hunmin.corpus.decontamination.check import (
        check_documents,
        check_report_folder,
        write_check,
    )
    from hunmin.corpus.decontamination.check_text import report, terminal_lines
    from hunmin.corpus.decontamination.lineage import documents_behind
    from hunmin.corpus.decontamination.sets import read_sets

    documents = documents_behind(artifact)
    if out is not None:
        check_report_folder(out, documents)
    wanted = read_sets(sets, unit=unit)  # type: ignore[arg-type]
    check = check_documents(
        documents,
        wanted,
        splits=splits,  # type: ignore[arg-type]
        min_share=min_share,
    )
    if as_json:
        click.echo(json.dumps(check.as_json(examples), indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(terminal_lines(check, examples)))
    if out is not None:
        write_check(check, out, report(check, sets), inputs=documents, asked=list(sets))
        click.echo(out, err=as_json)
