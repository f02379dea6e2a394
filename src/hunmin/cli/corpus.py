"""`hunmin corpus`: make a corpus, and what decides what is in it."""

from __future__ import annotations

import click

from hunmin.cli.corpus_build import command as build_command
from hunmin.cli.corpus_check import command as check_command
from hunmin.cli.corpus_classifier import command as classifier_command
from hunmin.cli.corpus_thresholds import command as thresholds_command
from hunmin.cli.groups import GroupWithDefault


@click.group("corpus", cls=GroupWithDefault, default="build")
def command() -> None:
    """Make a corpus: clean, de-duplicated documents from raw sources, and a report.

    \b
    hunmin corpus build recipes/corpus-korean.yaml
    """


command.add_command(build_command, "build")
command.add_command(thresholds_command, "thresholds")
command.add_command(classifier_command, "classifier")
command.add_command(check_command, "check")
