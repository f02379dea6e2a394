"""`hunmin finetune score`: scores of predictions, computed again from the files."""

from __future__ import annotations

import json
from pathlib import Path

import click

from hunmin.cli.options import PATHS, json_option


@click.command("score")
@click.argument("predictions", type=PATHS)
@click.option(
    "--data",
    required=True,
    type=PATHS,
    metavar="FOLDER",
    help="Folder of LOCALE.jsonl files with the right labels.",
)
@click.option(
    "--partition", default="test", show_default=True, help="Partition that was predicted."
)
@json_option("all numbers")
def command(predictions: Path, data: Path, partition: str, as_json: bool) -> None:
    """Score the LOCALE.jsonl files of folder PREDICTIONS against labelled utterances.

    \b
    hunmin finetune score nlu/predictions --data samples/massive --partition dev
    hunmin finetune score other-system/predictions --data massive --json

    A line of a file: {"id": "7", "locale": "ko-KR", "intent": "…", "slots": [{"type": "…",
    "first_word": 0, "end_word": 2}]}. Prints intent accuracy, slot F1 and exact match by locale, in
    per cent with 95 % intervals.
    """
    from hunmin.adapt.nlu.predictions import score_files
    from hunmin.adapt.nlu.score_table import score_table

    scores = score_files(predictions, data, partition)
    if as_json:
        click.echo(json.dumps(scores.model_dump(mode="json"), ensure_ascii=False, indent=2))
    else:
        click.echo("\n".join(score_table(scores)))
