"""`hunmin samples`: real voice-assistant utterances, without a recipe."""

from __future__ import annotations

from pathlib import Path

import click

from hunmin.cli.artifact_out import say_folder
from hunmin.cli.options import json_option


@click.command()
@click.option(
    "--languages",
    default="all",
    show_default=True,
    metavar="TAG,TAG…",
    help="BCP 47 tags, or all.",
)
@click.option(
    "--per-language",
    type=click.IntRange(1),
    metavar="N",
    help="Most utterances of a language.  [default: no limit]",
)
@click.option(
    "--per-template",
    type=click.IntRange(1, 10_000),
    default=16,
    show_default=True,
    metavar="N",
    help="Most utterances drawn from one sentence template.",
)
@click.option(
    "--validation-fraction",
    type=click.FloatRange(0.0, 0.5),
    default=0.1,
    show_default=True,
    metavar="X",
    help="Share of the templates held out.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Draws other utterances.")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Folder of the documents artifact.",
)
@json_option("the counts")
def command(
    languages: str,
    per_language: int | None,
    per_template: int,
    validation_fraction: float,
    seed: int,
    out: Path,
    as_json: bool,
) -> None:
    r"""Sample utterances with intent and slots in more than sixty languages.

    \b
    hunmin samples --languages ko,en --per-language 1000 --out samples

    Writes a documents artifact (train/ and validation/, split by sentence template) and
    massive/LANGUAGE.jsonl in the format of the MASSIVE data set. Prints the folder.
    """
    from hunmin.corpus.build import build_corpus
    from hunmin.corpus.sources.spec import HomeAssistantSource
    from hunmin.corpus.spec import CorpusSpec
    from hunmin.text.languages import normalize_tag

    tags = () if languages == "all" else tuple(map(normalize_tag, languages.split(",")))
    spec = CorpusSpec(
        sources=(
            HomeAssistantSource(
                languages=tags or "all",
                max_utterances_per_language=per_language,
                utterances_per_template=per_template,
                seed=seed,
            ),
        ),
        validation_fraction=validation_fraction,
        seed=seed,
    )
    say_folder(out, build_corpus(spec, out).facts, as_json=as_json)
