"""`hunmin export`: a trained model in the format of another runtime."""

from __future__ import annotations

import click

from hunmin.cli.export_onnx import command as onnx_command


@click.group("export")
def command() -> None:
    """Write a trained model for the runtime that will answer with it.

    \b
    hunmin export onnx runs/assistant/nlu --data massive/ --out assistant-onnx
    """


command.add_command(onnx_command)
