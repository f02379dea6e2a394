"""`hunmin finetune nlu`: train, test and write a model of intents and slots."""

from __future__ import annotations

import json
from pathlib import Path

import click

from hunmin.cli.finetune_settings import nlu_spec

_PATHS = click.Path(path_type=Path)


@click.command("nlu")
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
@click.option(
    "--train",
    metavar="LOCALE,LOCALE…",
    help="Locales to learn from; all others are tested zero-shot.  [default: all]",
)
@click.option(
    "--select",
    metavar="LOCALE,LOCALE…",
    help="Locales whose dev partition chooses the epoch.  [default: those of --train]",
)
@click.option("--test", metavar="LOCALE,LOCALE…", help="Locales to test.  [default: all]")
@click.option(
    "--preset",
    metavar="NAME",
    help="Settings tuned for a kind of body: small, xlmr-full, xlmr-zero-shot, mt5-encoder-full, "
    "mt5-encoder-zero-shot, mt5-text-full, mt5-text-zero-shot.  [default: small]",
)
@click.option(
    "--teacher", type=_PATHS, metavar="FOLDER", help="NLU model whose answers are learnt, too."
)
@click.option("--out", required=True, type=_PATHS, metavar="FOLDER", help="Folder of the model.")
@click.option("--device", metavar="NAME", help="cpu, cuda, cuda:1 …  [default: a GPU if any]")
@click.option("--json", "as_json", is_flag=True, help="Print the scores as JSON.")
def command(
    body: Path,
    settings: tuple[str, ...],
    data: tuple[Path, ...],
    train: str | None,
    select: str | None,
    test: str | None,
    preset: str | None,
    teacher: Path | None,
    out: Path,
    device: str | None,
    as_json: bool,
) -> None:
    """Train heads for intents and slots on the model in folder BODY, and test them.

    \b
    hunmin finetune nlu runs/student/model --data samples/massive --train en --out nlu
    hunmin finetune nlu xlmr/ --data massive --train en-US --preset xlmr-zero-shot --out x
    hunmin finetune nlu BODY --data massive --out all epochs=20 learning_rate=5e-4 crf=true

    BODY is an encoder, encoder-decoder (its encoder is used) or decoder (with pooling=last) in the
    Hugging Face layout. KEY=VALUE changes a setting of the preset, as in section `nlu` of a recipe.
    The epoch is chosen on the dev partition of the locales that are trained on, so that no label of
    another language has a say. Ctrl-C keeps the last finished epoch; the same command goes on.

    Prints the folder of the model. Its report.md has scores by locale with intervals, beside a
    constant and a linear baseline; predictions/ has what was said of every utterance.
    """
    from hunmin.core.extras import require

    require("transformers", extra="train")
    from hunmin.adapt.nlu.finetune import finetune

    locales = {"train_locales": train, "selection_locales": select, "test_locales": test}
    spec = nlu_spec(settings, data=data, teacher=teacher, preset=preset, locales=locales)
    artifact = finetune(spec, body, out, device=device)
    if as_json:
        facts = {"path": str(out), "kind": artifact.manifest.kind, **artifact.facts}
        click.echo(json.dumps(facts, ensure_ascii=False, indent=2))
    else:
        click.echo(out)
