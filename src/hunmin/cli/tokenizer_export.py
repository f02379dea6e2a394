"""`hunmin tokenizer export`: a tokenizer in the format of another program."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("export")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["gguf"]),
    default="gguf",
    show_default=True,
    help="gguf: the vocabulary as metadata that llama.cpp reads.",
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The file; an older one is replaced.",
)
def command(folder: Path, file_format: str, output: Path) -> None:
    """Write the tokenizer of FOLDER for another program; prints the path of the file.

    \b
    hunmin tokenizer export runs/ko/tokenizer -o tokenizer.gguf

    The folder itself is what transformers, vLLM and tokenizers open.
    """
    from hunmin.tokenizer.gguf import export_gguf
    from hunmin.tokenizer.load import load_tokenizer

    export_gguf(load_tokenizer(folder), output)
    click.echo(output)
