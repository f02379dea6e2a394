"""An index of evaluation items, to look documents up in."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from hunmin.core.errors import InputError
from hunmin.corpus.dedup.letters import Letters, chunks, letters_of
from hunmin.corpus.dedup.shingles import character_shingles
from hunmin.corpus.hashes import Hashes, HashTable, Positions, Stretches
from hunmin.text.unicode import normalize

_NAME_BYTES = 8
_NO_TEXT = pa.array([], pa.string())
_Number = TypeVar("_Number", bound=np.generic)


@dataclass(frozen=True)
class ContaminationRule:
    """When a document holds an evaluation item."""

    width: int = 15
    """Visible characters in a run; items of fewer are looked for as a whole."""
    min_letters: int = 8
    """Items of fewer letters and digits are not looked for: they stand everywhere."""
    min_share: float = 0.3
    """Share of an item's runs that must stand in the document, in (0, 1]."""
    max_runs: int = 60
    """So many of an item's runs are enough, however long it is."""
    max_items: int = 50
    """Runs in more items of one set than this belong to its template and say nothing."""

    def __post_init__(self) -> None:
        if not 1 <= self.min_letters <= self.width:
            raise InputError(
                "these lengths do not go together",
                given=f"min_letters {self.min_letters}, width {self.width}",
                allowed="1 ≤ min_letters ≤ width; 8 and 15 were measured",
            )
        if not 0 < self.min_share <= 1 or self.max_runs < 1 or self.max_items < 1:
            raise InputError(
                "with these limits an item is found always or never",
                given=f"min_share {self.min_share}, max_runs {self.max_runs}, "
                f"max_items {self.max_items}",
                allowed="min_share in (0, 1], max_runs and max_items of 1 or more",
            )


@dataclass(frozen=True)
class SetCounts:
    """What became of the items of one evaluation set."""

    items: int
    """Items given."""
    repeated: int
    """Items whose letters equal those of an earlier one of the set."""
    too_short: int
    """Items under `min_letters`: not checkable."""
    template: int
    """Items made of the set's template alone: not checkable."""
    whole: int
    """Items shorter than a run, looked for as a whole."""
    runs: int
    """Items looked for by their runs."""


@dataclass(frozen=True)
class EvaluationIndex:
    """Runs of characters of evaluation items, sorted, with the items that they stand in."""

    rule: ContaminationRule
    """When a document holds an item."""
    sets: tuple[str, ...]
    """Names of the evaluation sets."""
    counts: tuple[SetCounts, ...]
    """What became of each set's items."""
    hashes: Hashes
    """Hash of each run and each short item, in increasing order; once for each item it is in."""
    items: npt.NDArray[np.int32]
    """Item of each hash."""
    item_sets: npt.NDArray[np.int32]
    """Place in `sets` of each item's set."""
    item_runs: npt.NDArray[np.int32]
    """Different runs of each item; 1 for a short one."""
    item_names: npt.NDArray[np.str_]
    """Name of each item: the one given, or a hash of its letters."""
    short_lengths: tuple[int, ...]
    """Lengths of the items looked for as a whole, in characters."""
    short_heads: Hashes
    """Different hashes of the first `min_letters` characters of these items, increasing."""

    @cached_property
    def table(self) -> HashTable:
        """The hashes, ready to be looked up."""
        return HashTable(self.hashes)

    @cached_property
    def heads(self) -> HashTable:
        """What items looked for as a whole begin with, ready to be looked up."""
        return HashTable(self.short_heads)

    @cached_property
    def needed(self) -> npt.NDArray[np.int32]:
        """Runs of each item that make a document hold it."""
        share = np.ceil(self.item_runs * self.rule.min_share - 1e-9).astype(np.int32)
        needed: npt.NDArray[np.int32] = np.clip(share, 1, self.rule.max_runs)
        return needed


def build_index(
    sets: Mapping[str, Iterable[str] | Mapping[str, str]],
    rule: ContaminationRule = ContaminationRule(),
) -> EvaluationIndex:
    """Make an index of evaluation sets.

    Args:
        sets: For each set's name its items, or a mapping from their ids to them: questions,
            premises, sentences – whatever a model must not have seen.
        rule: When a document holds an item.

    Returns:
        The index, independent of the order of the sets and of their items.

    Raises:
        InputError: No set, or no item that can be looked for in any of them.

    Note:
        Runs leave white space out, so items are found whatever became of their spaces. Korean
        13-word runs find a fifth of verbatim items, since most items are shorter.
    """
    names = sorted(sets)
    built = [_build_set(_named(sets[name]), rule) for name in names]
    if not any(len(part.runs) for part in built):
        raise InputError(
            "there is nothing to look for in the evaluation sets",
            given=f"{len(names)} sets with {sum(part.counts.items for part in built):,} items",
            allowed=f"items of at least {rule.min_letters} letters",
            hint="give other sets, or lower `min_letters`",
        )
    return _joined(rule, names, built)


def _named(items: Iterable[str] | Mapping[str, str]) -> list[tuple[str, str]]:
    """Names and texts, sorted by text, then name."""
    if isinstance(items, Mapping):
        pairs = [(name, normalize(text)) for name, text in items.items()]
    else:
        pairs = [(_digest(text), text) for text in map(normalize, items)]
    return sorted(pairs, key=lambda pair: (pair[1], pair[0]))


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=_NAME_BYTES).hexdigest()


@dataclass(frozen=True)
class _Set:
    counts: SetCounts
    names: list[str]
    runs: npt.NDArray[np.int32]
    hashes: Hashes
    items: Positions
    short_lengths: frozenset[int]
    short_heads: Hashes


def _build_set(items: Sequence[tuple[str, str]], rule: ContaminationRule) -> _Set:
    """Index one set; items are numbered from 0 within it."""
    letters = [letters_of(chunk) for chunk in chunks(pa.array([t for _, t in items], pa.string()))]
    lengths = _each(letters, lambda part: part.lengths)
    is_new = _first_of_each(_each(letters, _wholes))
    is_long = _each(letters, _num_letters) >= rule.min_letters
    hashes, owners = _runs(letters, rule.width, is_new & is_long)
    hashes, owners = _without_template(hashes, owners, rule.max_items)
    runs = np.bincount(owners, minlength=len(items))
    is_whole = (runs > 0) & (lengths < rule.width)
    counts = SetCounts(
        items=len(items),
        repeated=int((~is_new).sum()),
        too_short=int((is_new & ~is_long).sum()),
        template=int((is_new & is_long & (runs == 0)).sum()),
        whole=int(is_whole.sum()),
        runs=int((runs > 0).sum() - is_whole.sum()),
    )
    kept = np.flatnonzero(runs)
    return _Set(
        counts=counts,
        names=[items[item][0] for item in kept.tolist()],
        runs=runs[kept].astype(np.int32),
        hashes=hashes,
        items=kept.searchsorted(owners),
        short_lengths=frozenset(lengths[is_whole].tolist()),
        short_heads=_each(letters, lambda part: _heads(part, rule.min_letters))[is_whole],
    )


def _each(
    letters: Sequence[Letters], measure: Callable[[Letters], npt.NDArray[_Number]]
) -> npt.NDArray[_Number]:
    """One value for each item, over all chunks; none without items."""
    return np.concatenate([measure(part) for part in letters or [letters_of(_NO_TEXT)]])


def _wholes(letters: Letters) -> Hashes:
    return Stretches(letters.hashes).hashes(letters.offsets[:-1], letters.offsets[1:])


def _heads(letters: Letters, width: int) -> Hashes:
    """Hash of the first characters of each text, or of all if it has fewer."""
    starts, ends = letters.offsets[:-1], letters.offsets[1:]
    return Stretches(letters.hashes).hashes(starts, np.minimum(starts + width, ends))


def _num_letters(letters: Letters) -> Positions:
    """Characters of each text that are not punctuation or symbols."""
    before = np.concatenate([[0], np.cumsum(~letters.is_sign)])
    return np.diff(before[letters.offsets])


def _first_of_each(hashes: Hashes) -> npt.NDArray[np.bool_]:
    """Whether a hash is the first of its kind."""
    is_first = np.zeros(len(hashes), np.bool_)
    is_first[np.unique(hashes, return_index=True)[1]] = True
    return is_first


def _runs(
    letters: Sequence[Letters], width: int, is_chosen: npt.NDArray[np.bool_]
) -> tuple[Hashes, Positions]:
    """Different runs of the chosen items with their items, sorted by run, then item."""
    parts = [character_shingles(part, width) for part in letters]
    hashes = np.concatenate([part.hashes for part in parts] or [np.zeros(0, np.uint64)])
    counts = np.concatenate([np.diff(part.offsets) for part in parts] or [np.zeros(0, np.int64)])
    owners = np.repeat(np.arange(len(counts)), counts)
    hashes, owners = hashes[is_chosen[owners]], owners[is_chosen[owners]]
    order = np.lexsort((owners, hashes))
    hashes, owners = hashes[order], owners[order]
    is_new = np.ones(len(hashes), np.bool_)
    is_new[1:] = (hashes[1:] != hashes[:-1]) | (owners[1:] != owners[:-1])
    return hashes[is_new], owners[is_new]


def _without_template(
    hashes: Hashes, owners: Positions, max_items: int
) -> tuple[Hashes, Positions]:
    _, places, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    kept = counts[places] <= max_items
    return hashes[kept], owners[kept]


def _joined(
    rule: ContaminationRule, names: Sequence[str], built: Sequence[_Set]
) -> EvaluationIndex:
    firsts = np.cumsum([0, *(len(part.runs) for part in built)])
    hashes = np.concatenate([part.hashes for part in built])
    items = np.concatenate([part.items + first for part, first in zip(built, firsts, strict=False)])
    order = np.argsort(hashes, kind="stable")
    return EvaluationIndex(
        rule=rule,
        sets=tuple(names),
        counts=tuple(part.counts for part in built),
        hashes=hashes[order],
        items=items[order].astype(np.int32),
        item_sets=np.repeat(np.arange(len(built)), np.diff(firsts)).astype(np.int32),
        item_runs=np.concatenate([part.runs for part in built]),
        item_names=np.array([name for part in built for name in part.names], np.str_),
        short_lengths=tuple(sorted(frozenset().union(*(part.short_lengths for part in built)))),
        short_heads=np.unique(np.concatenate([part.short_heads for part in built])),
    )
