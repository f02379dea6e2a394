"""`hunmin export onnx`: an NLU model for ONNX Runtime, in float32 and int8."""

from __future__ import annotations

from pathlib import Path

import click

from hunmin.core.extras import require
from hunmin.serving.export.spec import ExportSpec

DEFAULTS = ExportSpec()


@click.command("onnx")
@click.argument("model_folder", type=click.Path(path_type=Path))
@click.option(
    "--data", required=True, multiple=True, type=click.Path(path_type=Path), metavar="FOLDER",
    help="LOCALE.jsonl files with labelled utterances, on which the networks are compared; may be "
    "repeated.",
)  # fmt: skip
@click.option(
    "--out", "output", required=True, type=click.Path(path_type=Path), metavar="FOLDER",
    help="The new artifact; an older export there is replaced.",
)  # fmt: skip
@click.option(
    "--max-drop", type=click.FloatRange(0, 100), default=DEFAULTS.max_drop, show_default=True,
    metavar="POINTS", help="Points of exact match, of 100, that int8 may lose.",
)  # fmt: skip
@click.option("--partition", default=DEFAULTS.partition, show_default=True, help="Part to compare.")
@click.option(
    "--locale", "locales", multiple=True, metavar="NAME",
    help="Compare on this locale; may be repeated.  [default: all]",
)  # fmt: skip
@click.option(
    "--max-utterances", type=click.IntRange(1), default=DEFAULTS.max_utterances, show_default=True,
    metavar="N", help="Utterances to compare on.",
)  # fmt: skip
@click.option(
    "--reduce-range", is_flag=True,
    help="Round weights to 7 bits, for processors without VNNI.",
)  # fmt: skip
@click.option("--no-float32", is_flag=True, help="Leave the float32 network out.")
def command(
    model_folder: Path,
    data: tuple[Path, ...],
    output: Path,
    max_drop: float,
    partition: str,
    locales: tuple[str, ...],
    max_utterances: int,
    reduce_range: bool,
    no_float32: bool,
) -> None:
    """Write the NLU model in MODEL_FOLDER for ONNX Runtime; prints the folder of the export.

    Both networks, float32 and int8, are asked the same utterances as the trained model. Nothing is
    written if int8 loses more than --max-drop. MODEL_FOLDER is a trained NLU model.

    \b
    hunmin export onnx runs/assistant/nlu --data massive/ --out assistant-onnx
    hunmin serve assistant-onnx
    """
    for package in ("torch", "transformers"):
        require(package, extra="train")
    from hunmin.serving.export.export import export_onnx

    spec = ExportSpec(
        data=data,
        partition=partition,
        locales=locales,
        max_utterances=max_utterances,
        max_drop=max_drop,
        reduce_range=reduce_range,
        keep_float32=not no_float32,
    )
    artifact = export_onnx(spec, model_folder, output)
    click.echo((artifact.path / "report.md").read_text(encoding="utf-8"), err=True)
    click.echo(artifact.path)
