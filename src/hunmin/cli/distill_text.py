"""`hunmin distill text`: documents that a teacher writes, for students with another tokenizer."""

from __future__ import annotations

from pathlib import Path

import click

from hunmin.cli.artifact_out import say_artifact
from hunmin.cli.options import PATHS, device_option, json_option, out_option


@click.command("text", short_help="Text that a teacher writes, for another tokenizer.")
@click.argument("model", type=PATHS)
@click.option(
    "--corpus",
    required=True,
    type=PATHS,
    metavar="FOLDER",
    help="Documents artifact whose train split gives the beginnings, as `hunmin corpus` or "
    "`hunmin samples` writes it.",
)
@out_option("Folder of the new documents.")
@click.option(
    "--documents",
    type=click.IntRange(1),
    metavar="N",
    help="Most documents that are begun.  [default: all of the corpus]",
)
@click.option(
    "--prompt-tokens",
    type=click.IntRange(1),
    default=16,
    show_default=True,
    metavar="N",
    help="Tokens of a document that the teacher goes on from.",
)
@click.option(
    "--new-tokens",
    type=click.IntRange(1),
    default=128,
    show_default=True,
    metavar="N",
    help="Most tokens that it writes.",
)
@click.option(
    "--temperature",
    type=click.FloatRange(0, 100, min_open=True),
    default=1.0,
    show_default=True,
    metavar="X",
    help="1 draws from the teacher as it is; below, it says what it is surer of.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(1),
    default=16,
    show_default=True,
    metavar="N",
    help="Documents that are written at one time; fewer need less memory.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Draws other text.")
@device_option
@json_option("the counts")
def command(
    model: Path,
    corpus: Path,
    out: Path,
    documents: int | None,
    prompt_tokens: int,
    new_tokens: int,
    temperature: float,
    batch_size: int,
    seed: int,
    device: str | None,
    as_json: bool,
) -> None:
    """Let the decoder in folder MODEL go on from beginnings of documents; write documents.

    \b
    hunmin distill text qwen3/ --corpus runs/ko/corpus --documents 20000 --out teacher-text
    hunmin run RECIPE use.corpus=teacher-text

    A student learns a teacher's probabilities only if both have the same tokenizer. Where they
    differ it learns from the text that the teacher writes: sequence-level distillation (Kim & Rush
    2016), with draws instead of the best beam.

    MODEL is any decoder in the Hugging Face layout, or a run with one. The train split of the
    result is the teacher's text; validation and test are those of the corpus, so that a student is
    judged by people's text. Prints the folder, a documents artifact for any recipe.
    """
    from hunmin.core.extras import require

    require("transformers", extra="train")
    from hunmin.adapt.distill.sequence_level import WritingOptions, write_teacher_text
    from hunmin.core.artifact import load_artifact
    from hunmin.models.devices import pick_device
    from hunmin.serving.folder import find_model_folder

    options = WritingOptions(
        prompt_tokens=prompt_tokens,
        new_tokens=new_tokens,
        documents=documents,
        temperature=temperature,
        batch_size=batch_size,
        seed=seed,
    )
    teacher, begun = find_model_folder(model), load_artifact(corpus, "documents")
    artifact = write_teacher_text(teacher, begun, out, options, device=pick_device(device))
    say_artifact(artifact, out, as_json=as_json)
