"""NLU++: bank and hotel calls with several intents each, in folds (Casanueva et al. 2022).

Models here say one intent, so that all intents of an utterance become one label.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hunmin.adapt.nlu.annotations import CharacterSpan, Place
from hunmin.adapt.nlu.json_lines import require_fields, require_text
from hunmin.adapt.nlu.readers.records import DataFile, Draft, records, refuse
from hunmin.adapt.nlu.utterances import Utterance, make_utterance
from hunmin.core.errors import InputError
from hunmin.text.files import read_text_lines

NLUPP_NAME = re.compile(
    r"[^/]*/(?P<domain>[^/]+)\.jsonl|(?P<folder>[^/]+)/fold(?P<fold>\d+)\.json\b"
)
"""FOLDER/DOMAIN.jsonl with a field `fold`, or DOMAIN/foldN.json as it was published."""
INTENT_SEPARATOR = "+"
NO_INTENT = "none"
_LOCALE = "en"
_MIN_FOLDS = 3


@dataclass(frozen=True, slots=True)
class _Record:
    id: str
    domain: str
    fold: int
    fields: dict[str, Any]
    place: Place


def read_nlupp(files: Sequence[DataFile], fold: int) -> Iterator[Draft]:
    """Read both domains, or one.

    Args:
        files: What `NLUPP_NAME` found.
        fold: The fold that is tested; the next one there is chooses the epoch, the others are
            learnt.

    Yields:
        What makes each utterance: its scenario is the domain, its intent all intents by name with
        + between, such as `change+date`, or `none`; slots are in the characters of the text.

    Raises:
        InputError: A line is no such record, or there is no such fold.
    """
    found = [record for path, match in files for record in _records(path, match)]
    folds = sorted({record.fold for record in found})
    partitions = _partitions(folds, fold, where=files[0][0].parent)
    for record in found:
        yield functools.partial(_utterance, record, partitions[record.fold])


def _partitions(folds: Sequence[int], held_out: int, where: Path) -> dict[int, str]:
    if held_out not in folds or len(folds) < _MIN_FOLDS:
        raise InputError(
            "there is no such fold" if held_out not in folds else "these are too few folds",
            where=where,
            given=f"fold {held_out}",
            allowed=f"one of {', '.join(map(str, folds))}; at least {_MIN_FOLDS} folds in all",
            hint="name another fold, or a folder with more of them",
        )
    next_one = folds[(folds.index(held_out) + 1) % len(folds)]
    return dict.fromkeys(folds, "train") | {held_out: "test", next_one: "dev"}


def _records(path: Path, match: re.Match[str]) -> Iterator[_Record]:
    if match["domain"]:
        for number, fields in records(path, ("text", "fold")):
            id = f"{match['domain']}-{number}"
            place = Place(str(path), number, id)
            if type(fields["fold"]) is not int:
                refuse("a fold that is no whole number", place, fields["fold"], "such as 0")
            yield _Record(id, match["domain"], fields["fold"], fields, place)
        return
    for number, fields in enumerate(_array(path), start=1):
        id = f"{match['folder']}-{match['fold']}-{number}"
        place = Place(str(path), record=id)
        require_fields(fields, ("text",), place)
        yield _Record(id, match["folder"], int(match["fold"]), fields, place)


def _array(path: Path) -> list[dict[str, Any]]:
    text = "\n".join(line.text for line in read_text_lines(path))
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        place = Place(str(path), error.lineno)
        raise InputError(
            f"a file that is not JSON: {error.msg}",
            where=place.at(error.colno),
            given=text[max(0, error.pos - 30) : error.pos + 30],
            hint="correct the file, or take it from the data set again",
        ) from error
    if not (isinstance(found, list) and all(isinstance(fields, dict) for fields in found)):
        refuse("a fold that is no array of objects", Place(str(path)), text[:60], '[{"text": …}]')
    return found


def _utterance(record: _Record, partition: str) -> Utterance:
    fields, place = record.fields, record.place
    require_text(fields, ["text"], place)
    text = fields["text"]
    return make_utterance(
        id=record.id,
        locale=_LOCALE,
        partition=partition,
        scenario=record.domain,
        intent=_joint_intent(fields.get("intents", []), place),
        utt=text,
        spans=_spans(text, fields.get("slots", {}), place),
        place=place,
    )


def _joint_intent(intents: Any, place: Place) -> str:
    """Return one label for a set of intents: the same in whatever order they were written."""
    if not isinstance(intents, list) or not all(isinstance(name, str) for name in intents):
        refuse("intents that are none", place, intents, 'a list such as ["change", "booking"]')
    wrong = [name for name in intents if INTENT_SEPARATOR in name or not name]
    if wrong:
        refuse("an intent that cannot be joined", place, wrong[0], f"no {INTENT_SEPARATOR}")
    return INTENT_SEPARATOR.join(sorted(set(intents))) or NO_INTENT


def _spans(text: str, slots: Any, place: Place) -> list[CharacterSpan]:
    if not isinstance(slots, dict):
        refuse("slots that are none", place, slots, '{"date": {"text": …, "span": [9, 14]}}')
    spans = [_span(text, kind, slot, place) for kind, slot in slots.items()]
    return sorted(spans, key=lambda span: (span.start, span.end))


def _span(text: str, kind: str, slot: Any, place: Place) -> CharacterSpan:
    match slot:
        case {"text": str(value), "span": [int(start), int(end)]}:
            if text[start:end] != value:
                found = f"'{value}' at {start} to {end}, where '{text[start:end]}' stands"
                refuse(f"the slot '{kind}' is not where it says", place, found, "the same text")
            return CharacterSpan(kind, start, end)
        case _:
            refuse(f"the slot '{kind}' has no text and span", place, slot, '"span": [9, 14]')
