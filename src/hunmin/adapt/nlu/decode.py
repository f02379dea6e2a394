"""Logits to intent and slots, in numpy: training and every runtime use the same. No torch here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hunmin.adapt.nlu.annotations import CharacterSpan
from hunmin.adapt.nlu.config import HEADS_FILE, NluConfig
from hunmin.adapt.nlu.encode import EncodedUtterance
from hunmin.adapt.nlu.scores import Prediction
from hunmin.adapt.nlu.tags import WordSpan
from hunmin.adapt.nlu.utterances import Slot, slots_on_words, word_offsets
from hunmin.core.errors import CorruptArtifactError
from hunmin.core.extras import require

Floats = npt.NDArray[np.floating]
Integers = npt.NDArray[np.int64]
CRF_TENSORS = ("crf.transitions", "crf.start", "crf.end")
NUM_BEST = 5


@dataclass(frozen=True, slots=True)
class Transitions:
    """What a CRF adds to the logits of a sequence of tags.

    Args:
        transitions: For tag i followed by tag j, shape (S, S).
        start: For the first tag, shape (S).
        end: For the last tag, shape (S).
    """

    transitions: npt.NDArray[np.float32]
    start: npt.NDArray[np.float32]
    end: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ParsedSlot:
    """A slot that was found.

    Args:
        type: Its type.
        value: Its characters.
        first_character: Where it begins in the text.
        end_character: The character after its last.
        score: The least probability among its tags, in [0, 1].
    """

    type: str
    value: str
    first_character: int
    end_character: int
    score: float


@dataclass(frozen=True, slots=True)
class Parse:
    """What a text means.

    Args:
        intent: The likeliest intent.
        score: Its probability, in [0, 1].
        n_best: The likeliest intents with their probabilities, best first.
        slots: Slots in order, apart.
        truncated_at: Character from which on nothing was read, the text being too long; None if
            all of it was.
    """

    intent: str
    score: float
    n_best: tuple[tuple[str, float], ...]
    slots: tuple[ParsedSlot, ...]
    truncated_at: int | None = None


def decode(
    config: NluConfig,
    encoded: Sequence[EncodedUtterance],
    intent_logits: Floats,
    slot_logits: Floats,
    transitions: Transitions | None = None,
    *,
    num_best: int = NUM_BEST,
) -> list[Parse]:
    """Read intents and slots off the outputs of a model.

    Args:
        config: Of the model.
        encoded: The texts of the batch.
        intent_logits: Shape (B, I).
        slot_logits: Shape (B, T, S); padding is never looked at.
        transitions: Those of the model, if its configuration says crf.
        num_best: Intents to name.

    Returns:
        One parse for each text.
    """
    intents = _probabilities(intent_logits)
    order = np.argsort(-intents, axis=1, kind="stable")[:, :num_best]
    rows = [
        np.asarray(slot_logits[row, one.places], dtype=np.float64)
        for row, one in enumerate(encoded)
    ]
    tags = [row.argmax(1) for row in rows] if transitions is None else viterbi(rows, transitions)
    slots = _slots(config, encoded, rows, tags)
    return [
        Parse(
            intent=config.intents[best[0]],
            score=float(shares[best[0]]),
            n_best=tuple((config.intents[number], float(shares[number])) for number in best),
            slots=found,
            truncated_at=one.truncated_at,
        )
        for one, shares, best, found in zip(encoded, intents, order, slots, strict=True)
    ]


def _probabilities(logits: Floats) -> npt.NDArray[np.float64]:
    values = np.asarray(logits, dtype=np.float64)
    shares: npt.NDArray[np.float64] = np.exp(values - values.max(-1, keepdims=True))
    shares /= shares.sum(-1, keepdims=True)
    return shares


def _slots(
    config: NluConfig,
    encoded: Sequence[EncodedUtterance],
    logits: Sequence[npt.NDArray[np.float64]],
    tags: Sequence[Integers],
) -> list[tuple[ParsedSlot, ...]]:
    lengths = np.array([len(row) for row in tags])
    table = np.zeros((len(tags), max(1, int(lengths.max(initial=0)))), dtype=np.int64)
    for row, chosen in enumerate(tags):
        table[row, : len(chosen)] = chosen
    found: list[tuple[ParsedSlot, ...]] = []
    for one, scores, chosen, spans in zip(
        encoded, logits, tags, config.tags.decode(table, lengths), strict=True
    ):
        sure = _probabilities(scores)[np.arange(len(chosen)), chosen] if spans else np.empty(0)
        found.append(tuple(_slot(one, span, sure) for span in spans))
    return found


def _slot(one: EncodedUtterance, span: WordSpan, sure: npt.NDArray[np.float64]) -> ParsedSlot:
    kind, first, end = span
    start, stop = int(one.starts[first]), int(one.ends[end - 1])
    return ParsedSlot(kind, one.text[start:stop], start, stop, float(sure[first:end].min()))


def viterbi(rows: Sequence[Floats], crf: Transitions) -> list[Integers]:
    """Find the likeliest sequence of tags of each text, all texts at once.

    Args:
        rows: For each text its logits, shape (P, S).
        crf: Transitions of the tags.

    Returns:
        For each text its tags, shape (P).
    """
    lengths = np.array([len(row) for row in rows], dtype=np.int64)
    best = np.zeros((len(rows), int(lengths.max(initial=1)), len(crf.start)), dtype=np.float32)
    for number, row in enumerate(rows):
        best[number, : len(row)] = row
    best[:, 0] += crf.start
    for place in range(1, best.shape[1]):
        best[:, place] += (best[:, place - 1, :, None] + crf.transitions).max(1)
    tags = _trace_back(best, lengths, crf)
    return [chosen[:length] for chosen, length in zip(tags, lengths, strict=True)]


def _trace_back(best: npt.NDArray[np.float32], lengths: Integers, crf: Transitions) -> Integers:
    """Follow the best way from the last tag of each text to its first.

    Predecessors are found again for the tags on the way alone, not kept for all.
    """
    ends = best[np.arange(len(best)), np.maximum(lengths, 1) - 1] + crf.end
    last = ends.argmax(1)
    tags = np.zeros(best.shape[:2], dtype=np.int64)
    for place in range(best.shape[1] - 1, -1, -1):
        tags[:, place] = last
        if place:
            before = (best[:, place - 1] + crf.transitions[:, last].T).argmax(1)
            last = np.where(place < lengths, before, last)
    return tags


def prediction_of(parse: Parse, id: str, text: str, locale: str) -> Prediction:
    """Return a parse as a prediction in words, which can be scored.

    Args:
        parse: What was said of the text.
        id: Key of the utterance.
        text: The text.
        locale: Its locale.

    Returns:
        The prediction; a slot counts as all words that it touches.
    """
    slots = tuple((one.type, one.start, one.end) for one in words_of(parse, text, locale))
    return Prediction(id, locale, parse.intent, slots)


def words_of(parse: Parse, text: str, locale: str) -> tuple[Slot, ...]:
    """Return the slots of a parse with all words that each touches.

    Args:
        parse: What was said of the text.
        text: The text.
        locale: Its locale.

    Returns:
        One for each slot of the parse, in order.
    """
    spans = [CharacterSpan(one.type, one.first_character, one.end_character) for one in parse.slots]
    return slots_on_words(spans, word_offsets(text, locale))


def read_transitions(folder: Path, config: NluConfig) -> Transitions | None:
    """Read the transitions of a model folder.

    Args:
        folder: With heads.safetensors.
        config: Its configuration.

    Returns:
        The transitions; None for a model without.

    Raises:
        CorruptArtifactError: The file is missing, or lacks them.
        MissingExtraError: safetensors is not installed.
    """
    if not config.crf:
        return None
    safetensors = require("safetensors", extra="nlu")
    file = folder / HEADS_FILE
    try:
        with safetensors.safe_open(file, framework="numpy") as tensors:
            return Transitions(*(tensors.get_tensor(name) for name in CRF_TENSORS))
    except (OSError, safetensors.SafetensorError) as error:
        raise CorruptArtifactError(
            "the transitions of the tags cannot be read",
            where=file,
            given=str(error),
            hint="copy the folder again",
        ) from error
