"""`hunmin generate`: let a model write on from a prompt."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hunmin.cli.engine import open_engine
from hunmin.cli.sampling import sampling_options, sampling_params
from hunmin.cli.stdin import read_stdin_lines

if TYPE_CHECKING:
    from hunmin.serving.engine import Engine
    from hunmin.serving.spec import SamplingParams

SEPARATOR = "---"


@click.command("generate")
@click.argument("model_folder", type=click.Path(path_type=Path))
@click.option(
    "--prompt",
    "prompts",
    multiple=True,
    metavar="TEXT",
    help="Beginning of a text; may be given several times; `-` takes each line of stdin as one.",
)
@click.option(
    "--num", "num_samples", type=click.IntRange(1), default=1, show_default=True, metavar="N",
    help="Texts for each prompt.",
)  # fmt: skip
@sampling_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per text.")
def command(
    model_folder: Path, prompts: tuple[str, ...], num_samples: int, as_json: bool, **flags: Any
) -> None:
    """Let the model in MODEL_FOLDER write on from prompts.

    MODEL_FOLDER is a model, or the folder of a run. Without --prompt the model begins a text by
    itself. One text is printed while it is written; several are printed with --- between them.

    \b
    hunmin generate runs/quickstart --prompt "Turn on the" --max-tokens 20
    hunmin generate runs/quickstart --prompt "거실 불" --num 3 --seed 1 --json
    """
    params = sampling_params(flags)
    texts = _read_prompts(prompts)
    with open_engine(model_folder) as engine:
        if as_json:
            _print_json(engine, texts, params, num_samples)
        elif len(texts) * num_samples == 1:
            _print_stream(engine, texts[0], params)
        else:
            _print_all(engine, texts, params, num_samples)


def _read_prompts(prompts: tuple[str, ...]) -> list[str]:
    texts: list[str] = []
    for prompt in prompts or ("",):
        if prompt == "-":
            texts += read_stdin_lines()
        else:
            texts.append(prompt)
    if not texts:
        raise click.UsageError("--prompt - was given, and stdin has no line")
    return texts


def _print_stream(engine: Engine, prompt: str, params: SamplingParams) -> None:
    ids = engine.encode(prompt)
    click.echo(prompt, nl=False)
    for chunk in engine.stream(ids, params):
        click.echo(chunk.text, nl=False)
    click.echo()


def _print_all(
    engine: Engine, prompts: Sequence[str], params: SamplingParams, num_samples: int
) -> None:
    answers = engine.generate(prompts, params, num_samples=num_samples)
    texts = [prompts[answer.index // num_samples] + answer.text for answer in answers]
    click.echo(f"\n{SEPARATOR}\n".join(texts))


def _print_json(
    engine: Engine, prompts: Sequence[str], params: SamplingParams, num_samples: int
) -> None:
    for answer in engine.generate(prompts, params, num_samples=num_samples):
        number, sample = divmod(answer.index, num_samples)
        record = {
            "prompt": prompts[number],
            "sample": sample,
            "text": answer.text,
            "num_tokens": len(answer.tokens),
            "finish_reason": answer.finish_reason,
        }
        click.echo(json.dumps(record, ensure_ascii=False))
