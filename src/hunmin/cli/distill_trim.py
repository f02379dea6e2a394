"""`hunmin distill trim`: a model without the pieces that its languages never use."""

from __future__ import annotations

from pathlib import Path

import click

from hunmin.cli.artifact_out import say_artifact
from hunmin.cli.options import PATHS, json_option, out_option


@click.command("trim", short_help="A vocabulary with what some languages use.")
@click.argument("model", type=PATHS)
@click.option(
    "--texts",
    required=True,
    multiple=True,
    type=PATHS,
    metavar="PATH",
    help="Text in all languages that the model shall serve: .txt, .jsonl, .parquet, packed or not, "
    "or a folder of them such as train/ of a documents artifact; may be repeated.",
)
@out_option("Folder of the smaller model.")
@click.option(
    "--min-count",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    metavar="N",
    help="How often a piece must occur to stay; above 1, rarer ones fall apart into smaller ones.",
)
@json_option("what went")
def command(model: Path, texts: tuple[Path, ...], out: Path, min_count: int, as_json: bool) -> None:
    """Trim the vocabulary of the model in folder MODEL to the languages of some text.

    \b
    hunmin distill trim xlm-roberta/ --texts ko.txt --texts de.txt --out xlmr-ko-de
    hunmin finetune nlu xlmr-ko-de --data massive --train ko-KR,de-DE --out nlu

    In a small multilingual model most parameters are embeddings, and most of these belong to
    languages it never meets: 250,000 pieces of 384 numbers are 96M parameters beside a body of
    11M. MODEL is any encoder, decoder or encoder-decoder in the Hugging Face layout, or a run with
    a model; the result is one, too.

    The texts are encoded as before, which is checked; other languages in smaller pieces, so give
    as much text as you have: a few megabytes of each language at least. Trim a teacher before its
    student is made of it, or a student before it is fine-tuned. Prints the folder.
    """
    from hunmin.core.extras import require

    require("transformers", extra="train")
    from hunmin.adapt.distill.trim import trim_model_folder
    from hunmin.serving.folder import find_model_folder

    artifact = trim_model_folder(find_model_folder(model), texts, out, min_count=min_count)
    say_artifact(artifact, out, as_json=as_json)
