"""The teacher's answers on disk, so that it runs once: top-k logits by sample number.

    cache.json              what the answers depend on
    part-00000.npy          answers of samples 0 to 255, one record for each compared place
    part-00000.counts.npy   places of each sample; written last, so a part with counts is whole

A record holds K ids, their log-probabilities at the temperature they will be used at, and the
log-probability of all others together: logits up to a constant, but small numbers, which float16
keeps to about 0.004 at -10. A sample's corruption depends on its number alone, so the answers serve
any batch size, any number of processes, and every student of the same order of samples.
"""

from __future__ import annotations

import json
import shutil
from collections import OrderedDict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hunmin.adapt.distill.answers import with_answers
from hunmin.adapt.distill.places import Positions, compared_places
from hunmin.adapt.distill.targets import not_numbers
from hunmin.adapt.distill.teacher import Teacher
from hunmin.core.atomic import atomic_file, atomic_write_text
from hunmin.core.errors import (
    ArtifactMismatchError,
    CorruptArtifactError,
    DiskFullError,
    InputError,
)
from hunmin.core.logs import get_logger
from hunmin.core.progress import progress
from hunmin.data.batch import Batch
from hunmin.data.loader import WindowLoader
from hunmin.data.permutation import Int64s

logger = get_logger(__name__)

SAMPLES_PER_PART = 256
_FORMAT = 1
_OPEN_PARTS = 64
_PLACES_AT_ONCE = 512


@dataclass(frozen=True)
class CacheIdentity:
    """All that the answers depend on.

    Args:
        teacher: Digest of its weights.
        data: Identity of the order of samples and of their corruption.
        top_k: Entries kept at each place.
        size: Entries of the vocabulary.
        temperature: Of the softmax.
        positions: Which places.
    """

    teacher: str
    data: dict[str, Any]
    top_k: int
    size: int
    temperature: float
    positions: Positions

    def record(self) -> np.dtype[Any]:
        """Return the layout of a place on disk."""
        if self.top_k > self.size:
            raise InputError(
                "the vocabulary has fewer entries than are to be kept",
                where="student.cache.top_k",
                given=self.top_k,
                allowed=f"up to {self.size}",
            )
        ids = np.uint16 if self.size <= 2**16 else np.uint32
        kept = (self.top_k,)
        return np.dtype([("ids", ids, kept), ("values", np.float16, kept), ("rest", np.float16)])


def data_identity(loader: WindowLoader[Any]) -> dict[str, Any]:
    """Return what decides the content of samples: all of a loader's identity but its batches."""
    identity = loader.state_dict()["identity"]
    return {name: value for name, value in identity.items() if name != "batch_size"}


class AnswerCache:
    """Answers of a teacher on disk.

    Args:
        folder: Where they lie, or will.
        identity: What they must depend on.

    Raises:
        ArtifactMismatchError: The folder holds answers of another teacher, order or kind.
        InputError: More entries are to be kept than there are.
    """

    def __init__(self, folder: Path, identity: CacheIdentity) -> None:
        self.folder = folder
        self.identity = identity
        self._record = identity.record()
        self._parts: OrderedDict[int, tuple[npt.NDArray[Any], Int64s]] = OrderedDict()
        self._check()

    def missing(self, num_samples: int) -> list[int]:
        """Return the numbers of the parts that are not written yet."""
        needed = range(-(-num_samples // SAMPLES_PER_PART))
        return [part for part in needed if not self._counts_file(part).is_file()]

    def read(self, samples_B: Int64s) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Read answers.

        Args:
            samples_B: Sample numbers.

        Returns:
            Ids (int32) and log-probabilities (float16), shape (B, M, K), of the rest (float16),
            shape (B, M), and the number of places of each row (int64); rows with fewer than M are
            filled with zeros.

        Raises:
            CorruptArtifactError: A part is missing or damaged.
        """
        rows = [self._row(int(sample)) for sample in samples_B]
        counts = np.array([len(row) for row in rows], dtype=np.int64)
        filled = np.zeros((len(rows), max(1, counts.max(initial=0))), dtype=self._record)
        for target, row in zip(filled, rows, strict=True):
            target[: len(row)] = row
        ids = torch.from_numpy(filled["ids"].astype(np.int32))
        values = torch.from_numpy(np.ascontiguousarray(filled["values"]))
        rest = torch.from_numpy(np.ascontiguousarray(filled["rest"]))
        return ids, values, rest, torch.from_numpy(counts)

    def write_part(self, part: int, records: npt.NDArray[Any], counts: Int64s) -> None:
        """Write the answers of SAMPLES_PER_PART samples.

        Args:
            part: Its number.
            records: One for each place of its samples, in order.
            counts: Places of each sample.

        Raises:
            DiskFullError: No space is left.
        """
        for file, array in ((self._part_file(part), records), (self._counts_file(part), counts)):
            with atomic_file(file) as draft, draft.open("wb") as stream:
                np.save(stream, array)

    def records(self, logits_NV: Tensor, name: str) -> npt.NDArray[Any]:
        """Return records of some places.

        Args:
            logits_NV: The teacher's, float32.
            name: How messages call the teacher.

        Returns:
            Ids and values of the likeliest entries and of the rest, shape (N).

        Raises:
            InputError: They are not numbers.
        """
        log_p = torch.log_softmax(logits_NV / self.identity.temperature, -1)
        values, ids = log_p.topk(self.identity.top_k)
        rest = log_p.exp_().scatter_(1, ids, 0.0).sum(1).log()
        if not bool(values.isfinite().all()):
            raise not_numbers(name)
        records = np.empty(len(ids), dtype=self._record)
        lowest = float(np.finfo(np.float16).min)
        records["ids"] = ids.cpu().numpy()
        records["values"] = values.clamp(min=lowest).cpu().numpy()
        records["rest"] = rest.clamp(min=lowest).cpu().numpy()
        return records

    def place_bytes(self) -> int:
        """Return what a place takes on disk."""
        return self._record.itemsize

    def _row(self, sample: int) -> npt.NDArray[Any]:
        part, row = divmod(sample, SAMPLES_PER_PART)
        records, offsets = self._open(part)
        return records[offsets[row] : offsets[row + 1]]

    def _open(self, part: int) -> tuple[npt.NDArray[Any], Int64s]:
        if part in self._parts:
            self._parts.move_to_end(part)
            return self._parts[part]
        file = self._part_file(part)
        try:
            records = np.load(file, mmap_mode="r")
            counts = np.load(self._counts_file(part))
        except (OSError, ValueError, EOFError) as error:
            raise _damaged(file, str(error)) from error
        offsets = np.concatenate(([0], np.cumsum(counts)))
        if records.dtype != self._record or offsets[-1] != len(records):
            raise _damaged(file, f"{len(records)} records of {records.dtype}")
        self._parts[part] = records, offsets
        if len(self._parts) > _OPEN_PARTS:
            self._parts.popitem(last=False)
        return records, offsets

    def _check(self) -> None:
        file = self.folder / "cache.json"
        wanted = {"format": _FORMAT, **asdict(self.identity)}
        if not file.is_file():
            atomic_write_text(file, json.dumps(wanted, indent=2))
            return
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise _damaged(file, str(error)) from error
        wanted = json.loads(json.dumps(wanted))
        differing = [name for name, value in wanted.items() if found.get(name) != value]
        if differing:
            raise ArtifactMismatchError(
                "the cached answers belong to another teacher, data or kind",
                where=self.folder,
                given="; ".join(f"{name}: {found.get(name)}" for name in differing),
                allowed="; ".join(f"{name}: {wanted[name]}" for name in differing),
                hint="name another student.cache.folder, or delete this one",
            )

    def _part_file(self, part: int) -> Path:
        return self.folder / f"part-{part:05d}.npy"

    def _counts_file(self, part: int) -> Path:
        return self.folder / f"part-{part:05d}.counts.npy"


def write_answers(
    cache: AnswerCache,
    teacher: Teacher,
    loader: WindowLoader[Any],
    num_samples: int,
    *,
    device: torch.device | str = "cpu",
    rows_at_once: int = 16,
    rank: int = 0,
    world_size: int = 1,
) -> None:
    """Let the teacher answer the samples of a run, as far as it has not yet.

    Args:
        cache: Where answers go. What is there stays.
        teacher: On `device`.
        loader: Makes rows of any samples.
        num_samples: Samples of the run.
        device: Where the teacher is.
        rows_at_once: Rows of a forward pass.
        rank: This process among those that share the work.
        world_size: How many there are.

    Raises:
        DiskFullError: The answers will not fit.
        InputError: The teacher's logits are not numbers.
    """
    missing = cache.missing(num_samples)
    if not missing:
        logger.info("the teacher's answers are all in %s", cache.folder)
        return
    _announce(cache, loader, len(missing))
    with progress("teacher answers", total=len(missing[rank::world_size]), unit="parts") as bar:
        for part in missing[rank::world_size]:
            first = part * SAMPLES_PER_PART
            rows = [
                _answer(cache, teacher, loader.make_rows(np.arange(start, stop)).to(device))
                for start, stop in _stretches(first, first + SAMPLES_PER_PART, rows_at_once)
            ]
            records, counts = zip(*rows, strict=True)
            cache.write_part(part, np.concatenate(records), np.concatenate(counts))
            bar.advance()


def _stretches(first: int, stop: int, size: int) -> list[tuple[int, int]]:
    return [(start, min(start + size, stop)) for start in range(first, stop, size)]


@torch.no_grad()
def _answer(cache: AnswerCache, teacher: Teacher, batch: Any) -> tuple[npt.NDArray[Any], Int64s]:
    compared = compared_places(batch, cache.identity.positions)
    chosen = compared.flatten().nonzero().squeeze(1)
    hidden = teacher.answer(batch).hidden_BTD.flatten(0, 1)[chosen]
    targets = teacher.targets(hidden, cache.identity.size)
    parts = [
        cache.records(targets.logits(slice(start, stop)), teacher.name)
        for start, stop in _stretches(0, len(chosen), _PLACES_AT_ONCE)
    ]
    parts.append(np.empty(0, dtype=cache.identity.record()))
    return np.concatenate(parts), compared.sum(1).cpu().numpy().astype(np.int64)


def _announce(cache: AnswerCache, loader: WindowLoader[Any], num_parts: int) -> None:
    """Say how much the answers will take, and refuse if there is no room."""
    few = loader.make_rows(np.arange(8))
    places = float(compared_places(few, cache.identity.positions).sum()) / 8
    size = round(places * SAMPLES_PER_PART * num_parts * cache.place_bytes())
    free = shutil.disk_usage(cache.folder).free
    logger.info(
        "the teacher answers %d samples: about %.1f MB in %s (%.1f GB free)",
        num_parts * SAMPLES_PER_PART,
        size / 1e6,
        cache.folder,
        free / 1e9,
    )
    if size > free:
        raise DiskFullError(
            "the teacher's answers will not fit on this disk",
            where=cache.folder,
            given=f"{size / 1e9:.1f} GB needed, {free / 1e9:.1f} GB free",
            hint="lower student.cache.top_k, name another student.cache.folder, or leave "
            "student.cache out",
        )


class TaughtLoader(WindowLoader[Batch]):
    """The batches of another loader with the teacher's answers; made by `taught_loader`."""

    _inner: WindowLoader[Any]
    _cache: AnswerCache

    def make_rows(self, samples_B: Int64s) -> Batch:
        """Return the rows of any samples, with answers.

        Args:
            samples_B: Sample numbers.

        Returns:
            A batch that also holds the teacher's answers.

        Raises:
            CorruptArtifactError: The answers do not fit the rows.
        """
        batch = self._inner.make_rows(samples_B)
        ids, values, rest, counts = self._cache.read(samples_B)
        expected = compared_places(batch, self._cache.identity.positions).sum(1)
        if not torch.equal(counts, expected):
            raise _damaged(self._cache.folder, f"{counts.sum()} places, batch {expected.sum()}")
        return with_answers(batch, ids, values, rest)


def taught_loader(loader: WindowLoader[Any], cache: AnswerCache) -> TaughtLoader:
    """Return a loader of the same batches that carry answers.

    Args:
        loader: The loader; its position is taken over.
        cache: Whole for all samples that will be drawn.

    Returns:
        The loader.
    """
    taught = object.__new__(TaughtLoader)
    taught.__dict__ |= loader.__dict__
    taught._inner, taught._cache = loader, cache
    return taught


def _damaged(file: Path, given: str) -> CorruptArtifactError:
    return CorruptArtifactError(
        "the cached answers of the teacher cannot be read",
        where=file,
        given=given,
        hint="delete the folder; the teacher will answer again",
    )
