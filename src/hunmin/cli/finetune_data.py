"""`hunmin finetune data`: another labelled data set becomes a folder in the form of MASSIVE."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import click

from hunmin.cli.artifact_out import say_folder
from hunmin.cli.options import PATHS, json_option, out_option


@click.command("data")
@click.argument("form", type=click.Choice(["xsid", "slurp", "nlupp"]), metavar="xsid|slurp|nlupp")
@click.argument("folder", type=PATHS)
@out_option("Folder to write.")
@click.option(
    "--fold",
    type=click.IntRange(0),
    metavar="N",
    help="Of nlupp: the fold that is tested; the next one chooses the epoch.  [default: 0]",
)
@click.option(
    "--skip-malformed", is_flag=True, help="Leave malformed records out and say how many."
)
@json_option("the counts")
def command(
    form: str, folder: Path, out: Path, fold: int | None, skip_malformed: bool, as_json: bool
) -> None:
    """Read the data set in FOLDER and write LOCALE.jsonl files in the form of MASSIVE.

    \b
    hunmin finetune data xsid xSID-0.4 --out xsid --skip-malformed
    hunmin finetune data slurp slurp/dataset/slurp --out slurp --skip-malformed
    hunmin finetune data nlupp nlupp --fold 3 --out nlupp --skip-malformed
    hunmin finetune nlu BODY --data xsid --train en --out nlu

    xsid reads LOCALE.PART.conll and LOCALE.train….jsonl (tokens, slots, intent), slurp reads
    PART.jsonl, nlupp reads DOMAIN.jsonl or DOMAIN/foldN.json, all of FOLDER or, if that is a file,
    it alone; packed files (.gz, .zst) too. All of these sets, as published, have a few malformed
    records, which stop the command without --skip-malformed. Prints the folder.

    In nlupp an utterance has several intents, and a model here says one. Its intents become one
    label, by name with + between (`booking+change`; `none` without any), so that intent accuracy
    asks for all of them at once: stricter than the F1 over intents that is published for NLU++. How
    many test utterances have a label that no train utterance has, and are lost therefore, is said.
    """
    from hunmin.adapt.nlu.massive_files import write_folder
    from hunmin.adapt.nlu.readers.formats import count_unseen_intents, read_data_set
    from hunmin.core.errors import InputError
    from hunmin.core.logs import get_logger

    if fold is not None and form != "nlupp":
        raise click.UsageError(f"--fold is for nlupp; {form} has partitions of its own")
    logger = get_logger(__name__)
    skipped: list[InputError] | None = [] if skip_malformed else None
    made = read_data_set(folder, form, fold=fold or 0, skipped=skipped)  # type: ignore[arg-type]
    write_folder(out, made)
    if skipped:
        logger.warning("%d records left out, first: %s", len(skipped), skipped[0])
    unseen, num_test = count_unseen_intents(made), sum(one.partition == "test" for one in made)
    if unseen:
        logger.warning(
            "%d of %d test utterances have an intent that no train utterance has: no model can be "
            "right there",
            unseen,
            num_test,
        )
    facts = {
        "utterances": dict(Counter(f"{one.locale} {one.partition}" for one in made)),
        "intents": len({one.intent for one in made}),
        "left_out": len(skipped or ()),
        "test_with_unseen_intent": unseen,
    }
    say_folder(out, facts, as_json=as_json)
