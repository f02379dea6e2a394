"""`hunmin tokenizer extend`: add a language to the tokenizer, or the model, of a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hunmin.cli.artifact_out import say_artifact
from hunmin.cli.options import PATHS, json_option

if TYPE_CHECKING:
    from hunmin.core.artifact import Artifact
    from hunmin.tokenizer.extend import ExtensionOptions


@click.command("extend")
@click.argument("folder", type=PATHS)
@click.option(
    "--with", "donor", required=True, type=PATHS, help="Folder of the new language's tokenizer."
)
@click.option(
    "--texts",
    required=True,
    multiple=True,
    type=PATHS,
    metavar="FILE",
    help="Text of the new language: .txt, .jsonl, .parquet or a folder; may be repeated.",
)
@click.option(
    "--keep",
    multiple=True,
    type=PATHS,
    metavar="FILE",
    help="Text of languages the model knows, to be encoded as before; may be repeated.",
)
@click.option("--output", required=True, type=PATHS, metavar="FOLDER", help="Folder of the result.")
@click.option(
    "--init",
    "initialization",
    type=click.Choice(["focus", "mean", "random"]),
    default="focus",
    show_default=True,
    help="What the embeddings of new pieces are, if the folder has a model.",
)
@click.option(
    "--scripts",
    metavar="CODE,CODE…",
    help="Only pieces in these scripts, such as Hang, or `any`.  [default: the texts' own]",
)
@click.option(
    "--max-new",
    type=click.IntRange(1),
    metavar="N",
    help="Most new pieces.  [default: as many as the donor has]",
)
@click.option(
    "--cross-penalty",
    type=click.FloatRange(-1.0),
    default=1.0,
    show_default=True,
    metavar="X",
    help="What the donor's boundaries count against a merge; -1 ignores them.",
)
@json_option("what was done")
def command(
    folder: Path,
    donor: Path,
    texts: tuple[Path, ...],
    keep: tuple[Path, ...],
    output: Path,
    initialization: str,
    scripts: str | None,
    max_new: int | None,
    cross_penalty: float,
    as_json: bool,
) -> None:
    """Add the pieces a language needs to the tokenizer in FOLDER; all old ids stay.

    \b
    hunmin tokenizer extend qwen --with runs/ko/tokenizer --texts ko.txt --output qwen-ko

    FOLDER is in the Hugging Face layout, with a byte-level tokenizer.json. If it holds a model, the
    result is one too, with embeddings for the new pieces. Prints the folder of the result; its
    README.md says what was added and what changed.
    """
    from hunmin.tokenizer.extend import ExtensionOptions

    codes = None if scripts is None else () if scripts == "any" else tuple(scripts.split(","))
    options = ExtensionOptions(scripts=codes, max_new=max_new, cross_penalty=cross_penalty)
    artifact = _extend(folder, donor, texts, output, keep, options, initialization)
    say_artifact(artifact, output, as_json=as_json)


def _extend(
    folder: Path,
    donor: Path,
    texts: tuple[Path, ...],
    output: Path,
    keep: tuple[Path, ...],
    options: ExtensionOptions,
    initialization: str,
) -> Artifact:
    from hunmin.tokenizer.extend import extend_tokenizer_folder, holds_model

    if not holds_model(folder):
        return extend_tokenizer_folder(folder, donor, texts, output, keep=keep, options=options)
    from hunmin.core.extras import require

    require("transformers", extra="train")
    from hunmin.adapt.extend import extend_model_folder

    return extend_model_folder(
        folder,
        donor,
        texts,
        output,
        keep=keep,
        options=options,
        initialization=initialization,  # type: ignore[arg-type]
    )
