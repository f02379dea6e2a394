"""xSID: a tag for each token, in CoNLL files and, for training, in JSON lines."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from hunmin.adapt.nlu.annotations import CharacterSpan, Place
from hunmin.adapt.nlu.readers.records import PARTITIONS, Draft, records, refuse
from hunmin.adapt.nlu.utterances import Utterance, make_utterance
from hunmin.text.files import read_text_lines

XSID_NAME = re.compile(
    r"[^/]*/(?P<locale>[\w-]+)\.(?P<part>train|valid|test)\w*\.(?P<form>conll|jsonl)"
)
_COMMENT = re.compile(r"#\s*(?P<name>[\w-]+)\s*[:=]\s?(?P<value>.*)")
_TAG = re.compile(r"(?:O|(?P<mark>[BI])-(?P<type>.+))\Z")


def read_xsid(path: Path, match: re.Match[str]) -> Iterator[Draft]:
    """Read a file in the form that its name says.

    Args:
        path: The file, packed or not.
        match: What `XSID_NAME` found in its name.

    Returns:
        What makes each utterance.
    """
    read = read_conll if match["form"] == "conll" else read_token_lines
    return read(path, locale=match["locale"], partition=PARTITIONS[match["part"]])


def read_conll(path: Path, *, locale: str, partition: str) -> Iterator[Draft]:
    """Read a file of xSID: comments, then a line for each token with its tag in the last column.

    Args:
        path: The file, packed or not.
        locale: Locale of its utterances.
        partition: Partition of its utterances.

    Yields:
        What makes each utterance, of `text` and `intent` of the comments; ids are counted from 1
        where they have none. It raises InputError where a block has no intent, or a tag is none.
    """
    for number, (line, comments, tokens, tags) in enumerate(_blocks(path), start=1):
        place = Place(str(path), line, comments.get("id"))
        yield functools.partial(
            _tagged,
            comments.get("id", str(number)),
            locale,
            partition,
            comments.get("intent"),
            tokens,
            tags,
            place,
            text=comments.get("text"),
        )


def _blocks(path: Path) -> Iterator[tuple[int, dict[str, str], list[str], list[str]]]:
    comments: dict[str, str] = {}
    rows: list[list[str]] = []
    start = 1
    for number, line in enumerate(read_text_lines(path), start=1):
        text = line.text.rstrip("\n")
        if text.startswith("#"):
            if found := _COMMENT.match(text):
                comments[found["name"]] = found["value"]
        elif text.strip():
            rows.append(text.split("\t"))
        elif rows:
            yield start, comments, [row[1] for row in rows], [row[-1] for row in rows]
            comments, rows, start = {}, [], number + 1
    if rows:
        yield start, comments, [row[1] for row in rows], [row[-1] for row in rows]


def read_token_lines(path: Path, *, locale: str, partition: str) -> Iterator[Draft]:
    """Read JSON lines with `tokens`, `slots` (a tag for each) and `intent`.

    Args:
        path: The file, packed or not.
        locale: Locale of its utterances.
        partition: Partition of its utterances.

    Yields:
        What makes each utterance: texts are tokens with spaces between, ids numbers of lines.

    Raises:
        InputError: A line is no such record; the message names it.
    """
    for number, fields in records(path, ("tokens", "slots", "intent"), ["intent"]):
        yield functools.partial(
            _tagged,
            str(number),
            locale,
            partition,
            fields["intent"],
            fields["tokens"],
            fields["slots"],
            Place(str(path), number),
        )


def _tagged(
    id: str,
    locale: str,
    partition: str,
    intent: str | None,
    tokens: Sequence[str],
    tags: Sequence[str],
    place: Place,
    *,
    text: str | None = None,
) -> Utterance:
    """Make an utterance of tokens with tags, in its own text if the tokens are found there."""
    if intent is None:
        refuse("a block without an intent", place, None, "# intent: NAME")
    if len(tokens) != len(tags):
        refuse("another number of tags than of tokens", place, f"{len(tokens)}, {len(tags)}", None)
    offsets = _found_in(text, tokens) if text is not None else None
    if text is None or offsets is None:
        text = " ".join(tokens)
        offsets = _found_in(text, tokens) or []
    return make_utterance(
        id=id,
        locale=locale,
        partition=partition,
        scenario=intent.split("/")[0],
        intent=intent,
        utt=text,
        spans=_spans(offsets, tags, place),
        place=place,
    )


def _found_in(text: str, tokens: Sequence[str]) -> list[tuple[int, int]] | None:
    offsets: list[tuple[int, int]] = []
    done = 0
    for token in tokens:
        start = text.find(token, done)
        if start < 0:
            return None
        done = start + len(token)
        offsets.append((start, done))
    return offsets


def _spans(
    offsets: Sequence[tuple[int, int]], tags: Sequence[str], place: Place
) -> list[CharacterSpan]:
    """An I- that follows no tag of its type begins a slot, as in conll scoring."""
    spans: list[CharacterSpan] = []
    open_type: str | None = None
    for (start, end), tag in zip(offsets, tags, strict=True):
        found = _TAG.match(tag)
        if found is None:
            refuse("a tag that is none", place, tag, "O, B-TYPE or I-TYPE")
        if found["mark"] == "I" and found["type"] == open_type:
            spans[-1] = CharacterSpan(spans[-1].type, spans[-1].start, end)
        elif found["mark"]:
            spans.append(CharacterSpan(found["type"], start, end))
        open_type = found["type"]
    return spans
