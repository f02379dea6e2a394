"""`hunmin finetune nlu`: train, test and write a model of intents and slots."""

from __future__ import annotations

from pathlib import Path

import click

from hunmin.cli.artifact_out import say_artifact
from hunmin.cli.finetune_settings import TrainingArguments, training_arguments
from hunmin.cli.options import PATHS, json_option, out_option


@click.command("nlu")
@training_arguments
@click.option(
    "--select",
    metavar="LOCALE,LOCALE…",
    help="Locales whose dev partition chooses the epoch.  [default: those of --train]",
)
@click.option("--test", metavar="LOCALE,LOCALE…", help="Locales to test.  [default: all]")
@click.option(
    "--teacher",
    type=PATHS,
    metavar="FOLDER",
    help="NLU model whose answers are learnt, too.",
)
@out_option("Folder of the model.")
@json_option("the scores")
def command(
    arguments: TrainingArguments,
    select: str | None,
    test: str | None,
    teacher: Path | None,
    out: Path,
    as_json: bool,
) -> None:
    """Train heads for intents and slots on the model in folder BODY, and test them.

    \b
    hunmin finetune nlu BODY --data samples/massive --train en --out nlu test_partition=dev
    hunmin finetune nlu xlmr/ --data massive --train en-US --preset xlmr-zero-shot --out x
    hunmin finetune nlu BODY --data massive --out all epochs=20 learning_rate=5e-4 crf=true

    BODY is an encoder, encoder-decoder (its encoder is used) or decoder (with pooling=last) in the
    Hugging Face layout. KEY=VALUE changes a setting of the preset, as in section `nlu` of a recipe.
    The samples of `hunmin samples` have no test partition, hence test_partition=dev.
    Locales that --train leaves out are tested zero-shot. The epoch is chosen on the dev partition
    of the locales that are trained on, so that no label of another language has a say. Ctrl-C keeps
    the last finished epoch; the same command goes on.

    Prints the folder of the model. Its report.md has scores by locale with intervals, beside a
    constant and a linear baseline; predictions/ has what was said of every utterance.
    """
    from hunmin.adapt.nlu.finetune import finetune

    spec = arguments.spec(
        teacher=teacher, locales={"selection_locales": select, "test_locales": test}
    )
    artifact = finetune(spec, arguments.body, out, device=arguments.device)
    say_artifact(artifact, out, as_json=as_json)
