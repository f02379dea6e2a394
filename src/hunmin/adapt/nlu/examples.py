"""Labelled utterances as rows of numbers to learn from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from hunmin.adapt.nlu.annotations import CharacterSpan
from hunmin.adapt.nlu.config import NluConfig
from hunmin.adapt.nlu.encode import (
    EncodedUtterance,
    UtteranceEncoder,
    pad_batch,
    tag_places,
)
from hunmin.adapt.nlu.utterances import Utterance
from hunmin.core.errors import CorruptArtifactError, EmptyCorpusError
from hunmin.core.hashing import seed_from
from hunmin.tokenizer.spec import BOUNDARY_TOKEN, PAD_TOKEN

Integers = npt.NDArray[np.int64]
IGNORED = -100
_BATCHES_OF_A_POOL = 32


@dataclass(frozen=True, slots=True)
class Example:
    """One utterance: its tokens, the number of its intent, and a tag for each place."""

    encoded: EncodedUtterance
    intent: int
    tags: Integers


@dataclass(frozen=True, slots=True)
class Examples:
    """Utterances to learn from, and what could not be kept of them.

    Args:
        rows: The examples.
        num_conflicts: Utterances left out because two slots would share a tag.
        num_truncated: Utterances that were read only in part.
        num_inexact: Slots that begin or end within a place: their exact characters are lost.
        num_slots: Slots of the examples.
    """

    rows: tuple[Example, ...]
    num_conflicts: int
    num_truncated: int
    num_inexact: int
    num_slots: int

    def counts(self) -> dict[str, int]:
        """Return the numbers for reports."""
        return {
            "utterances": len(self.rows),
            "left_out_two_slots_on_one_tag": self.num_conflicts,
            "truncated": self.num_truncated,
            "slots": self.num_slots,
            "slots_not_exact": self.num_inexact,
        }


@dataclass(frozen=True, slots=True)
class Batch:
    """Examples as arrays.

    Args:
        rows: Numbers of the examples, shape (B).
        input_ids: Shape (B, T).
        attention_mask: Shape (B, T).
        intents: Shape (B).
        tags: -100 where a token has none, shape (B, T).
        places: Tokens that have a tag, those of each row first, shape (B, P).
        is_place: Whether there is one, shape (B, P).
    """

    rows: Integers
    input_ids: Integers
    attention_mask: Integers
    intents: Integers
    tags: Integers
    places: Integers
    is_place: npt.NDArray[np.bool_]


def label_config(
    utterances: Sequence[Utterance],
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the intents and the slot types that occur, by name."""
    intents = sorted({made.intent for made in utterances})
    types = sorted({slot.type for made in utterances for slot in made.slots})
    return tuple(intents), tuple(types)


def frame_of(folder: Path, tokenizer: Tokenizer) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """Find what stands around each text, and the id that fills rows.

    Args:
        folder: Folder of the tokenizer.
        tokenizer: The tokenizer.

    Returns:
        Ids before and after a text, as its own template says; without a template the boundary
        token before it, which begins every document in pretraining. And the id of padding.

    Raises:
        CorruptArtifactError: tokenizer_config.json cannot be read.
    """
    names = _special_names(folder / "tokenizer_config.json")
    found = tokenizer.encode("a", add_special_tokens=True)
    ids, special = np.array(found.ids), np.array(found.special_tokens_mask, dtype=bool)
    inside = np.flatnonzero(~special)
    first, end = (inside[0], inside[-1] + 1) if len(inside) else (len(ids), len(ids))
    prefix = tuple(ids[:first].tolist())
    if not special.any():
        boundary = _first_id(tokenizer, names, ("cls_token", "bos_token", "eos_token"))
        boundary = tokenizer.token_to_id(BOUNDARY_TOKEN) if boundary is None else boundary
        prefix = () if boundary is None else (boundary,)
    pad = _first_id(tokenizer, names, ("pad_token",))
    pad = tokenizer.token_to_id(PAD_TOKEN) if pad is None else pad
    return prefix, tuple(ids[end:].tolist()), pad if pad is not None else 0


def _first_id(tokenizer: Tokenizer, names: dict[str, str], keys: Sequence[str]) -> int | None:
    for key in keys:
        found: int | None = tokenizer.token_to_id(names[key]) if key in names else None
        if found is not None:
            return found
    return None


def _special_names(file: Path) -> dict[str, str]:
    if not file.is_file():
        return {}
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CorruptArtifactError("this file is not JSON", where=file) from error
    texts = {
        key: value.get("content") if isinstance(value, dict) else value
        for key, value in config.items()
        if key.endswith("_token")
    }
    return {key: value for key, value in texts.items() if isinstance(value, str)}


def make_examples(
    utterances: Sequence[Utterance], encoder: UtteranceEncoder, config: NluConfig
) -> Examples:
    """Encode labelled utterances.

    Args:
        utterances: Their intents and slot types must be known to the configuration.
        encoder: Encodes texts.
        config: The labels.

    Returns:
        The examples; utterances that cannot be tagged are left out and counted.

    Raises:
        EmptyCorpusError: None is left.
    """
    intents = {name: number for number, name in enumerate(config.intents)}
    encoded = encoder.encode([m.utt for m in utterances], [m.locale for m in utterances])
    rows: list[Example] = []
    num_inexact = num_slots = 0
    for made, one in zip(utterances, encoded, strict=True):
        spans = made.spans()
        tags = tag_places(one, spans, config.tags)
        if tags is None:
            continue
        rows.append(Example(one, intents[made.intent], tags))
        num_slots += len(spans)
        num_inexact += _num_inexact(one, spans)
    if not rows:
        raise EmptyCorpusError(
            "no utterance can be tagged",
            given=f"{len(utterances)} utterances, each with two slots on one word",
            hint="use labelling: all, or correct the annotations",
        )
    num_truncated = sum(row.encoded.truncated_at is not None for row in rows)
    return Examples(tuple(rows), len(utterances) - len(rows), num_truncated, num_inexact, num_slots)


def _num_inexact(one: EncodedUtterance, spans: Sequence[CharacterSpan]) -> int:
    starts, ends = set(one.starts.tolist()), set(one.ends.tolist())
    return sum(span.start not in starts or span.end not in ends for span in spans)


def epoch_batches(
    lengths: Integers, batch_size: int, *, seed: int, epoch: int
) -> Iterator[Integers]:
    """Yield numbers of examples in random batches of like length.

    Args:
        lengths: Tokens of each example.
        batch_size: Examples of a batch; the last one may have fewer.
        seed: Seed of the run.
        epoch: Number of the pass; each has another order.

    Yields:
        Each number once in all, shape (B).
    """
    generator = np.random.default_rng(seed_from(seed, "epoch", epoch))
    order = generator.permutation(len(lengths))
    pool = batch_size * _BATCHES_OF_A_POOL
    parts = [order[start : start + pool] for start in range(0, len(order), pool)]
    sorted_rows = np.concatenate([part[np.argsort(lengths[part], kind="stable")] for part in parts])
    starts = np.arange(0, len(order), batch_size)
    for start in generator.permutation(starts).tolist():
        yield sorted_rows[start : start + batch_size]


def collate(examples: Sequence[Example], rows: Integers, pad_id: int) -> Batch:
    """Put examples into a batch.

    Args:
        examples: All examples.
        rows: Numbers of those wanted.
        pad_id: Id of padding.

    Returns:
        The batch.
    """
    chosen = [examples[row] for row in rows]
    input_ids, attention_mask = pad_batch([one.encoded for one in chosen], pad_id)
    sizes = np.array([len(one.tags) for one in chosen])
    is_place = np.arange(max(1, sizes.max())) < sizes[:, None]
    places = np.zeros(is_place.shape, dtype=np.int64)
    places[is_place] = np.concatenate([one.encoded.places for one in chosen])
    tags = np.full(input_ids.shape, IGNORED, dtype=np.int64)
    owner = np.repeat(np.arange(len(chosen)), sizes)
    tags[owner, places[is_place]] = np.concatenate([one.tags for one in chosen])
    intents = np.array([one.intent for one in chosen], dtype=np.int64)
    return Batch(rows, input_ids, attention_mask, intents, tags, places, is_place)
