"""`hunmin tokenizer segment`: the words of a text and their morphemes, as a table."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("segment")
@click.argument("text", type=click.Path(path_type=Path))
@click.option(
    "--language", required=True, metavar="TAG", help="Language of the text, such as ko or sw."
)
@click.option(
    "--analyser",
    required=True,
    metavar="NAME[:FILE]",
    help="kiwi, mecab-ko, unidic, sudachi, morfessor (learns from TEXT) or table:FILE.",
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The table; an older one is replaced.",
)
@click.option(
    "--min-count",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    metavar="N",
    help="Leave out rarer words.",
)
def command(text: Path, language: str, analyser: str, output: Path, min_count: int) -> None:
    """Write the words of TEXT and their morphemes as a table.

    TEXT is a file, a folder of files, or a documents artifact, of which the train split is read.
    A row is a word, a tab, and its segments with spaces between: correct it by hand, share it, and
    train tokenizers with it where the analyser is not installed.

    \b
    hunmin tokenizer segment mytext.txt --language ko --analyser kiwi -o ko.tsv
    hunmin tokenizer train RECIPE 'tokenizer.morphemes.analysers={ko: table:ko.tsv}'
    """
    from hunmin.text.languages import normalize_tag
    from hunmin.tokenizer.segment import write_segmentation
    from hunmin.tokenizer.spec import AnalyserSpec

    name, _, path = analyser.partition(":")
    chosen = AnalyserSpec(name=name, path=Path(path) if path else None)
    facts = write_segmentation(text, chosen, normalize_tag(language), output, min_count=min_count)
    click.echo(f"{facts.words:,} words, {facts.cut_words:,} of them cut, by {facts.analyser}")
    click.echo(output)
