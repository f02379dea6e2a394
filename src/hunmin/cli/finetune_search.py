"""`hunmin finetune search`: settings for a body and a data set, found by trying."""

from __future__ import annotations

import json
from pathlib import Path

import click

from hunmin.cli.finetune_settings import nlu_spec

_PATHS = click.Path(path_type=Path)


@click.command("search")
@click.argument("body", type=_PATHS)
@click.argument("settings", nargs=-1, metavar="[KEY=VALUE]…")
@click.option(
    "--data",
    required=True,
    multiple=True,
    type=_PATHS,
    metavar="FOLDER",
    help="Folder of LOCALE.jsonl files in the form of MASSIVE; may be repeated.",
)
@click.option("--train", metavar="LOCALE,LOCALE…", help="Locales to learn from.  [default: all]")
@click.option("--preset", metavar="NAME", help="Settings to search around.  [default: small]")
@click.option(
    "--trials",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="Trials in all; those of earlier calls count.",
)
@click.option("--out", required=True, type=_PATHS, metavar="FOLDER", help="Folder of the study.")
@click.option("--device", metavar="NAME", help="cpu, cuda, cuda:1 …  [default: a GPU if any]")
@click.option("--json", "as_json", is_flag=True, help="Print the best settings as JSON.")
def command(
    body: Path,
    settings: tuple[str, ...],
    data: tuple[Path, ...],
    train: str | None,
    preset: str | None,
    trials: int,
    out: Path,
    device: str | None,
    as_json: bool,
) -> None:
    """Search learning rate, decay, dropout, slot weight, pooling and depth of the heads.

    \b
    hunmin finetune search BODY --data samples/massive --train en --trials 30 --out search
    hunmin finetune nlu BODY --data samples/massive --train en --out nlu $(cat best.txt)

    Trials are judged on the dev partition of the training locales; the test has no say. Prints
    KEY=VALUE words that `hunmin finetune nlu` takes; search.json in the folder has every trial.
    """
    from hunmin.core.extras import require

    require("optuna", extra="search")
    require("transformers", extra="train")
    from hunmin.adapt.nlu.search import search_settings

    spec = nlu_spec(
        settings, data=data, teacher=None, preset=preset, locales={"train_locales": train}
    )
    result = search_settings(spec, body, out, num_trials=trials, device=device)
    if as_json:
        facts = {"settings": result.settings, "exact_match": result.exact_match}
        click.echo(json.dumps(facts | {"trials": result.num_trials}, indent=2))
    else:
        click.echo(" ".join(f"{key}={value}" for key, value in result.settings.items()))
