"""Predictions as JSON lines: scores can be computed again from them, by anyone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hunmin.adapt.nlu.decode import Parse, words_of
from hunmin.adapt.nlu.massive_files import read_file
from hunmin.adapt.nlu.scores import NluScores, Prediction, score
from hunmin.adapt.nlu.utterances import Utterance
from hunmin.core.atomic import atomic_file
from hunmin.core.errors import InputError, MissingInputError


def write_predictions(
    folder: Path, utterances: Sequence[Utterance], parses: Sequence[Parse | None]
) -> list[Path]:
    """Write LOCALE.jsonl for each locale.

    Args:
        folder: Made if it does not exist.
        utterances: What was parsed.
        parses: One for each; None where a model wrote something that is no parse.

    Returns:
        The files, by locale.
    """
    lines: dict[str, list[str]] = {}
    for made, parse in zip(utterances, parses, strict=True):
        record = json.dumps(record_of(made, parse), ensure_ascii=False)
        lines.setdefault(made.locale, []).append(record + "\n")
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{locale}.jsonl" for locale in sorted(lines)]
    for path in paths:
        with atomic_file(path) as draft:
            draft.write_text("".join(lines[path.stem]), encoding="utf-8", newline="\n")
    return paths


def record_of(made: Utterance, parse: Parse | None) -> dict[str, Any]:
    """Return a prediction as JSON values: characters and words of each slot, scores."""
    record: dict[str, Any] = {"id": made.id, "locale": made.locale, "utt": made.utt}
    if parse is None:
        return {**record, "intent": "", "score": 0.0, "slots": []}
    words = words_of(parse, made.utt, made.locale)
    slots = [
        {
            "type": slot.type,
            "value": slot.value,
            "first_character": slot.first_character,
            "end_character": slot.end_character,
            "first_word": word.start,
            "end_word": word.end,
            "score": round(slot.score, 4),
        }
        for slot, word in zip(parse.slots, words, strict=True)
    ]
    record |= {"intent": parse.intent, "score": round(parse.score, 4), "slots": slots}
    return record if parse.truncated_at is None else {**record, "truncated_at": parse.truncated_at}


def prediction_from(record: dict[str, Any]) -> Prediction:
    """Return what `scores.score` takes."""
    slots = tuple(
        (str(slot["type"]), int(slot["first_word"]), int(slot["end_word"]))
        for slot in record["slots"]
    )
    return Prediction(str(record["id"]), str(record["locale"]), str(record["intent"]), slots)


def read_predictions(file: Path) -> list[Prediction]:
    """Read the predictions of one locale.

    Args:
        file: As `write_predictions` wrote it.

    Returns:
        Predictions in the order of the file.

    Raises:
        MissingInputError: No such file.
        InputError: A line is no prediction.
    """
    if not file.is_file():
        raise MissingInputError("no such file of predictions", where=file, hint="check the path")
    found: list[Prediction] = []
    for number, line in enumerate(file.read_bytes().splitlines(), start=1):
        try:
            found.append(prediction_from(json.loads(line)))
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                "a line that is no prediction",
                where=f"{file}:{number}",
                given=f"{type(error).__name__}: {error}",
                allowed='{"id": "0", "locale": "ko-KR", "intent": "…", "slots": […]}',
                hint="predict the file again",
            ) from error
    return found


def score_files(predictions: Path, data: Path, partition: str = "test") -> NluScores:
    """Score a folder of predictions.

    Args:
        predictions: Holds LOCALE.jsonl files, one prediction for each utterance of the partition.
        data: Holds LOCALE.jsonl files with the labels; locales without predictions do not count.
        partition: Partition that was predicted.

    Returns:
        The scores, with the intervals of `scores.score`.

    Raises:
        MissingInputError: There is no file of predictions, or of data for one.
        EmptyCorpusError: A locale has no utterance in this partition.
        InputError: A prediction is missing, malformed or of another utterance.
    """
    paths = sorted(predictions.glob("*.jsonl"))
    if not paths:
        raise MissingInputError(
            "no LOCALE.jsonl file of predictions in this folder",
            where=predictions,
            hint="name the folder predictions of a trained model",
        )
    references: list[Utterance] = []
    said: list[Prediction] = []
    for path in paths:
        references += read_file(data / path.name, partitions=[partition])
        said += read_predictions(path)
    return score(references, said)
