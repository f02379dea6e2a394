"""`hunmin tokenizer compare`: any tokenizers on any texts and gold segmentations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from hunmin.core.artifact import Artifact
    from hunmin.tokenizer.compare.references import ReferenceTexts
    from hunmin.tokenizer.compare.results import Comparison
    from hunmin.tokenizer.compare.texts import Texts


@click.command("compare")
@click.argument("tokenizers", nargs=-1, required=True, metavar="[NAME=]FOLDER...")
@click.option(
    "--texts",
    multiple=True,
    metavar="[TAG=]PATH",
    help="Text to encode: a file (.txt by lines, .jsonl, .parquet), a folder of them, or a "
    "documents artifact; `ko=wiki.txt` says the language. May be repeated.",
)
@click.option(
    "--gold",
    multiple=True,
    metavar="[NAME=]FILE",
    help="Human segmentation: KLUE-DP, Korean CoNLL-U, or a table of segmented words or "
    "sentences. May be repeated.",
)
@click.option(
    "--analyser",
    "analysers",
    multiple=True,
    metavar="[TAG=]NAME",
    help="Compare boundaries on the texts with those of kiwi, mecab-ko, unidic, sudachi, "
    "morfessor or table:FILE. May be repeated.",
)
@click.option("--baseline", metavar="NAME", help="What others are divided by.  [default: first]")
@click.option(
    "--sentence", "sentences", multiple=True, metavar="TEXT", help="Show this one side by side."
)
@click.option(
    "--max-bytes",
    type=click.IntRange(1),
    default=5_000_000,
    show_default=True,
    metavar="N",
    help="Most bytes of each source of texts.",
)
@click.option(
    "--rounds",
    type=click.IntRange(0),
    default=3,
    show_default=True,
    metavar="N",
    help="Rounds of the measurement of speed; 0 for none.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Write a report with plots here.",
)
@click.option("--json", "as_json", is_flag=True, help="Print all numbers as JSON.")
def command(
    tokenizers: tuple[str, ...],
    texts: tuple[str, ...],
    gold: tuple[str, ...],
    analysers: tuple[str, ...],
    baseline: str | None,
    sentences: tuple[str, ...],
    max_bytes: int,
    rounds: int,
    output: Path | None,
    as_json: bool,
) -> None:
    """Compare tokenizers on the same texts, and their cuts with morphemes.

    \b
    hunmin tokenizer compare runs/a/tokenizer runs/b/tokenizer --texts ko=wiki.txt
    hunmin tokenizer compare mine=runs/ko/tokenizer gpt2=models/gpt2 \\
      --texts runs/ko/corpus --gold dp_dev.tsv --analyser ko=kiwi --output runs/comparison

    A folder is a tokenizer of hunmin or anything in the Hugging Face layout with tokenizer.json:
    BPE, Unigram, WordPiece. Shown are tokens per text, bytes per token, what is lost or spelled in
    bytes, agreement with morpheme boundaries, and MB per CPU-second; with --output also intervals,
    kinds of boundaries, languages, sources, use of the vocabulary and plots.
    """
    from hunmin.core.artifact import check_output
    from hunmin.core.figures import check_plotting
    from hunmin.tokenizer.compare.compare import (
        REPORT_KIND,
        compare_tokenizers,
        write_comparison,
    )
    from hunmin.tokenizer.compare.load import find_baseline, load_subject, name_paths
    from hunmin.tokenizer.compare.texts import read_texts

    named = name_paths(tokenizers)
    if output is not None:
        check_plotting()
        check_output(output, REPORT_KIND, _artifacts([path for _, path in named]))
    chosen = find_baseline(baseline, [pair.name for pair in named])
    subjects = [load_subject(path, name) for name, path in named]
    read = read_texts(texts, max_bytes=max_bytes)
    comparison = compare_tokenizers(
        subjects,
        read,
        _references(gold, analysers, read),
        baseline=chosen,
        paths=dict(named),
        sentences=sentences,
        rounds=rounds,
    )
    if output is not None:
        asked = {"texts": texts, "gold": gold, "analysers": analysers, "max_bytes": max_bytes}
        inputs = _artifacts([path for _, path in named])
        write_comparison(comparison, output, recipe={"compare": asked}, inputs=inputs)
    _print(comparison, output, as_json=as_json)


def _references(
    gold: tuple[str, ...], analysers: tuple[str, ...], texts: Texts
) -> list[ReferenceTexts]:
    from hunmin.tokenizer.compare.load import split_name
    from hunmin.tokenizer.compare.references import analyse_texts, read_reference

    named = [split_name(written) for written in gold]
    found = [read_reference(Path(path), name) for name, path in named]
    for written in analysers:
        found += analyse_texts(written, texts)
    return found


def _artifacts(paths: list[Path]) -> list[Artifact]:
    from hunmin.core.artifact import MANIFEST_NAME, load_artifact

    return [load_artifact(path, verify=False) for path in paths if (path / MANIFEST_NAME).is_file()]


def _print(comparison: Comparison, output: Path | None, *, as_json: bool) -> None:
    from hunmin.tokenizer.compare.table import terminal_tables

    if as_json:
        click.echo(comparison.model_dump_json(indent=2))
        return
    click.echo(terminal_tables(comparison))
    _print_sentences(comparison)
    if output is not None:
        click.echo(f"\nreport: {output / 'report.md'}")


def _print_sentences(comparison: Comparison) -> None:
    """In colours on a terminal, with bars between tokens elsewhere."""
    import sys

    from rich.console import Console

    from hunmin.tokenizer.compare.view import plain_lines, terminal_lines

    console: Any = Console() if sys.stdout.isatty() else None
    for sentence in comparison.sentences:
        click.echo()
        if console is None:
            click.echo("\n".join(plain_lines(sentence)))
            continue
        for line in terminal_lines(sentence):
            console.print(line, soft_wrap=True)
