"""`hunmin tokenizer import`: the tokenizer of another model for a recipe."""

from __future__ import annotations

from pathlib import Path

import click

from hunmin.cli.artifact_out import say_artifact
from hunmin.cli.options import PATHS, json_option


@click.command("import")
@click.argument("folder", type=PATHS)
@click.option("--output", required=True, type=PATHS, metavar="FOLDER", help="Folder of the result.")
@json_option("what was imported")
def command(folder: Path, output: Path, as_json: bool) -> None:
    """Make the tokenizer in FOLDER one that recipes can use; prints the folder of the result.

    \b
    hunmin tokenizer import models/teacher --output teacher-tokenizer
    hunmin run RECIPE use.tokenizer=teacher-tokenizer tokenizer=null

    FOLDER is in the Hugging Face layout, for example a teacher's: a student learns its
    probabilities only from text in the same tokens.
    """
    from hunmin.tokenizer.importing import import_tokenizer

    say_artifact(import_tokenizer(folder, output), output, as_json=as_json)
