"""`hunmin tokenizer`: train one, look at what it does to a text, compare several."""

from __future__ import annotations

import click

from hunmin.cli.groups import GroupWithDefault
from hunmin.cli.tokenizer_compare import command as compare_command
from hunmin.cli.tokenizer_export import command as export_command
from hunmin.cli.tokenizer_extend import command as extend_command
from hunmin.cli.tokenizer_import import command as import_command
from hunmin.cli.tokenizer_inspect import command as inspect_command
from hunmin.cli.tokenizer_segment import command as segment_command
from hunmin.cli.tokenizer_train import command as train_command


@click.group("tokenizer", cls=GroupWithDefault, default="train")
def command() -> None:
    """Train a tokenizer, look at what it does to a text, compare several.

    \b
    hunmin tokenizer train recipes/quickstart.yaml
    hunmin tokenizer inspect "거실 불 켜줘" --tokenizer runs/quickstart/tokenizer
    hunmin tokenizer compare runs/quickstart/tokenizer gpt2/ --texts mytext.txt
    """


command.add_command(train_command)
command.add_command(segment_command)
command.add_command(extend_command)
command.add_command(import_command)
command.add_command(inspect_command)
command.add_command(compare_command)
command.add_command(export_command)
