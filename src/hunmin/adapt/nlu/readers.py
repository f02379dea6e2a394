"""Other labelled data sets, read as utterances: xSID and SLURP.

`write_folder` of massive_files.py makes a folder of them, which `hunmin finetune nlu` takes.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn, get_args

from hunmin.adapt.nlu.annotations import CharacterSpan, Place
from hunmin.adapt.nlu.utterances import Utterance, make_utterance
from hunmin.core.errors import InputError, MissingInputError
from hunmin.text.files import read_text_lines

Draft = Callable[[], Utterance]
"""Makes one utterance, or says what is wrong with its record."""
DataFormat = Literal["xsid", "slurp"]
DATA_FORMATS: tuple[DataFormat, ...] = get_args(DataFormat)
_PARTITIONS = {"train": "train", "valid": "dev", "dev": "dev", "devel": "dev", "test": "test"}
_XSID_NAME = re.compile(r"(?P<locale>[\w-]+)\.(?P<part>train|valid|test)\w*\.(?P<form>conll|jsonl)")
_SLURP_NAME = re.compile(r"(?P<part>train|devel|test)\w*\.jsonl")
_COMMENT = re.compile(r"#\s*(?P<name>[\w-]+)\s*[:=]\s?(?P<value>.*)")
_TAG = re.compile(r"(?:O|(?P<mark>[BI])-(?P<type>.+))\Z")


def read_data_set(
    folder: Path, kind: DataFormat, *, skipped: list[InputError] | None = None
) -> list[Utterance]:
    """Read a data set in its own form.

    Args:
        folder: Its files, packed or not.
        kind: `xsid` for LOCALE.PART.conll and LOCALE.train….jsonl; `slurp` for PART.jsonl.
        skipped: Takes what is wrong with records that are left out; None to refuse them.

    Returns:
        Utterances of all files, by name of file; partitions are train, dev and test.

    Raises:
        MissingInputError: There is no such file.
        InputError: A record is malformed; the message names file and line.
    """
    pattern, allowed = (
        (_XSID_NAME, "files such as de.valid.conll or en.train.jsonl")
        if kind == "xsid"
        else (_SLURP_NAME, "files such as train.jsonl, devel.jsonl and test.jsonl")
    )
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    found = [(path, match) for path in paths if (match := pattern.match(path.name))]
    if not found:
        raise MissingInputError(
            f"no file of {kind} in this folder",
            where=folder,
            allowed=allowed,
            hint="check the path",
        )
    made: list[Utterance] = []
    for path, match in found:
        for draft in _drafts(path, match, kind):
            try:
                made.append(draft())
            except InputError as error:
                if skipped is None:
                    raise
                skipped.append(error)
    return made


def _drafts(path: Path, match: re.Match[str], kind: DataFormat) -> Iterator[Draft]:
    partition = _PARTITIONS[match["part"]]
    if kind == "slurp":
        return read_slurp(path, partition=partition)
    if match["form"] == "conll":
        return read_conll(path, locale=match["locale"], partition=partition)
    return read_token_lines(path, locale=match["locale"], partition=partition)


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
    for number, fields in _records(path, ("tokens", "slots", "intent")):
        yield functools.partial(
            _tagged,
            str(number),
            locale,
            partition,
            str(fields["intent"]),
            fields["tokens"],
            fields["slots"],
            Place(str(path), number),
        )


def read_slurp(path: Path, *, partition: str, locale: str = "en-US") -> Iterator[Draft]:
    """Read a file of SLURP, MASSIVE's English parent.

    Args:
        path: The file, packed or not.
        partition: Partition of its utterances.
        locale: Locale of its utterances.

    Yields:
        What makes each utterance; ids are SLURP's, which MASSIVE shares.

    Raises:
        InputError: A line is no such record; the message names it.
    """
    names = ("slurp_id", "sentence", "sentence_annotation", "intent")
    for number, fields in _records(path, names):
        yield functools.partial(
            make_utterance,
            id=str(fields["slurp_id"]),
            locale=locale,
            partition=partition,
            scenario=str(fields.get("scenario", "")),
            intent=str(fields["intent"]),
            utt=str(fields["sentence"]),
            annot_utt=str(fields["sentence_annotation"]),
            place=Place(str(path), number, str(fields["slurp_id"])),
        )


def _records(path: Path, names: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(read_text_lines(path), start=1):
        try:
            fields = json.loads(line.text)
        except json.JSONDecodeError as error:
            place = Place(str(path), number)
            raise InputError(
                f"a line that is not JSON: {error.msg}",
                where=place.at(error.colno),
                given=line.text[:60],
                hint="correct or remove the line",
            ) from error
        missing = [name for name in names if not isinstance(fields, dict) or name not in fields]
        if missing:
            place = Place(str(path), number)
            _refuse(f"the record has no {', '.join(missing)}", place, None, ", ".join(names))
        yield number, fields


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
        _refuse("a block without an intent", place, None, "# intent: NAME")
    if len(tokens) != len(tags):
        _refuse("another number of tags than of tokens", place, f"{len(tokens)}, {len(tags)}", None)
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
            _refuse("a tag that is none", place, tag, "O, B-TYPE or I-TYPE")
        if found["mark"] == "I" and found["type"] == open_type:
            spans[-1] = CharacterSpan(spans[-1].type, spans[-1].start, end)
        elif found["mark"]:
            spans.append(CharacterSpan(found["type"], start, end))
        open_type = found["type"]
    return spans


def _refuse(problem: str, place: Place, given: object, allowed: str | None) -> NoReturn:
    raise InputError(
        problem, where=place.at(), given=given, allowed=allowed, hint="correct or remove the record"
    )
