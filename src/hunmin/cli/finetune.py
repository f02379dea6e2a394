"""`hunmin finetune`: a pretrained model learns a task from labelled examples."""

from __future__ import annotations

import click

from hunmin.cli.finetune_data import command as data_command
from hunmin.cli.finetune_nlu import command as nlu_command
from hunmin.cli.finetune_score import command as score_command
from hunmin.cli.finetune_search import command as search_command


@click.group("finetune")
def command() -> None:
    """Teach a pretrained model intents and slots from labelled utterances.

    \b
    hunmin samples --languages en,ko,de --out samples        labelled utterances to try it with
    hunmin finetune nlu BODY --data samples/massive --train en --out nlu test_partition=dev
    hunmin finetune score nlu/predictions --data samples/massive --partition dev
    hunmin finetune search BODY --data FOLDER --out search   better settings, by trying
    hunmin finetune data xsid ../xsid --out xsid --skip-malformed   read another data set

    The samples have no test partition, hence dev here; other data sets do without these words.
    """


command.add_command(nlu_command)
command.add_command(score_command)
command.add_command(search_command)
command.add_command(data_command)
