"""SLURP: annotated English sentences, with the ids that MASSIVE shares."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path

from hunmin.adapt.nlu.annotations import Place
from hunmin.adapt.nlu.readers.records import PARTITIONS, Draft, records
from hunmin.adapt.nlu.utterances import make_utterance

SLURP_NAME = re.compile(r"[^/]*/(?P<part>train|devel|test)\w*\.jsonl")
_LOCALE = "en-US"


def read_slurp(path: Path, match: re.Match[str]) -> Iterator[Draft]:
    """Read a file of SLURP, MASSIVE's English parent.

    Args:
        path: The file, packed or not.
        match: What `SLURP_NAME` found in its name.

    Yields:
        What makes each utterance; ids are SLURP's, which MASSIVE shares.

    Raises:
        InputError: A line is no such record; the message names it.
    """
    texts = ("sentence", "sentence_annotation", "intent")
    for number, fields in records(path, ("slurp_id", *texts), texts):
        yield functools.partial(
            make_utterance,
            id=str(fields["slurp_id"]),
            locale=_LOCALE,
            partition=PARTITIONS[match["part"]],
            scenario=str(fields.get("scenario", "")),
            intent=fields["intent"],
            utt=fields["sentence"],
            annot_utt=fields["sentence_annotation"],
            place=Place(str(path), number, str(fields["slurp_id"])),
        )
