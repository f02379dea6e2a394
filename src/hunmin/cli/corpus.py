"""`hunmin corpus`: make a corpus, and what decides what is in it."""

from __future__ import annotations

import click

from hunmin.cli.corpus_build import command as build_command
from hunmin.cli.corpus_check import command as check_command
from hunmin.cli.corpus_classifier import command as classifier_command
from hunmin.cli.corpus_mask import command as mask_command
from hunmin.cli.corpus_thresholds import command as thresholds_command
from hunmin.cli.groups import GroupWithDefault


@click.group("corpus", cls=GroupWithDefault, default="build")
def command() -> None:
    """Make a corpus: clean, de-duplicated documents from raw sources, and a report.

    \b
    hunmin corpus build recipes/corpus-korean.yaml       the corpus of a recipe
    hunmin corpus RECIPE                                 the same
    hunmin corpus thresholds news.txt --language yo      filters for a new language
    hunmin corpus classifier --good wiki/ --bad spam/    a filter from examples
    hunmin corpus check runs/ko/model --sets RECIPE      has it seen the evaluation items?
    hunmin corpus mask letters.txt                       what masking does to a text
    """


command.add_command(build_command, "build")
command.add_command(thresholds_command, "thresholds")
command.add_command(classifier_command, "classifier")
command.add_command(check_command, "check")
command.add_command(mask_command, "mask")
