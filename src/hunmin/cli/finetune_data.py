"""`hunmin finetune data`: another labelled data set becomes a folder in the form of MASSIVE."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import click

_PATHS = click.Path(path_type=Path)


@click.command("data")
@click.argument("form", type=click.Choice(["xsid", "slurp"]), metavar="xsid|slurp")
@click.argument("folder", type=_PATHS)
@click.option("--out", required=True, type=_PATHS, metavar="FOLDER", help="Folder to write.")
@click.option(
    "--skip-malformed", is_flag=True, help="Leave malformed records out and say how many."
)
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
def command(form: str, folder: Path, out: Path, skip_malformed: bool, as_json: bool) -> None:
    """Read the data set in FOLDER and write LOCALE.jsonl files in the form of MASSIVE.

    \b
    hunmin finetune data xsid xSID-0.4 --out xsid --skip-malformed
    hunmin finetune nlu BODY --data xsid --train en --out nlu

    xsid reads LOCALE.PART.conll and LOCALE.train….jsonl (tokens, slots, intent), slurp reads
    PART.jsonl; packed files (.gz, .zst) too. Prints the folder.
    """
    from hunmin.adapt.nlu.massive_files import write_folder
    from hunmin.adapt.nlu.readers import read_data_set
    from hunmin.core.errors import InputError
    from hunmin.core.logs import get_logger

    skipped: list[InputError] | None = [] if skip_malformed else None
    made = read_data_set(folder, form, skipped=skipped)  # type: ignore[arg-type]
    write_folder(out, made)
    if skipped:
        get_logger(__name__).warning("%d records left out, first: %s", len(skipped), skipped[0])
    if as_json:
        counts = Counter(f"{one.locale} {one.partition}" for one in made)
        facts = {"path": str(out), "utterances": dict(counts), "left_out": len(skipped or ())}
        click.echo(json.dumps(facts, ensure_ascii=False, indent=2))
    else:
        click.echo(out)
