"""`hunmin finetune search`: settings for a body and a data set, found by trying."""

from __future__ import annotations

import json
from pathlib import Path

import click

from hunmin.cli.finetune_settings import TrainingArguments, training_arguments
from hunmin.cli.options import json_option, out_option


@click.command("search")
@training_arguments
@click.option(
    "--trials",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="Trials in all; those of earlier calls count.",
)
@out_option("Folder of the study.")
@json_option("the best settings")
def command(arguments: TrainingArguments, trials: int, out: Path, as_json: bool) -> None:
    """Search learning rate, decay, dropout, slot weight, pooling and depth of the heads.

    \b
    hunmin finetune search BODY --data massive --train en-US --out search > best.txt
    hunmin finetune nlu BODY --data massive --train en-US --out nlu $(cat best.txt)

    The search looks around the settings of --preset and KEY=VALUE. Trials are judged on the dev
    partition of the training locales; the test has no say. Prints KEY=VALUE words that `hunmin
    finetune nlu` takes; search.json in the folder has every trial.
    """
    from hunmin.core.extras import require

    require("optuna", extra="search")
    from hunmin.adapt.nlu.search import search_settings

    result = search_settings(
        arguments.spec(), arguments.body, out, num_trials=trials, device=arguments.device
    )
    if as_json:
        facts = {"settings": result.settings, "exact_match": result.exact_match}
        click.echo(json.dumps(facts | {"trials": result.num_trials}, indent=2))
    else:
        click.echo(" ".join(f"{key}={value}" for key, value in result.settings.items()))
