"""`hunmin distill`: what a teacher is used for besides its answers in training."""

from __future__ import annotations

import click

from hunmin.cli.distill_text import command as text_command
from hunmin.cli.distill_trim import command as trim_command


@click.group("distill")
def command() -> None:
    """Make of a large model what a smaller one learns from, or begins as.

    \b
    hunmin distill trim xlm-roberta/ --texts ko.txt --texts de.txt --out xlmr-ko-de
    hunmin distill text runs/teacher --corpus runs/teacher/corpus --out teacher-text

    A student itself is trained by a recipe with a section `student` (and `intermediate` before it,
    for two steps): see recipes/assistant.yaml and `hunmin run --help`.
    """


command.add_command(trim_command)
command.add_command(text_command)
