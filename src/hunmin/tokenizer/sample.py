"""Which text a tokenizer is trained on: up to a number of bytes, fair to small languages.

Each language gets a share of the sample proportional to its bytes to the power `temperature`.
What it cannot fill, even by repeating its documents, goes to the others in proportion. Documents
are taken in the order of a seeded hash of their id, so the sample depends on nothing but the
documents and the seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from hunmin.core.artifact import Artifact
from hunmin.core.errors import EmptyCorpusError
from hunmin.corpus.documents import read_documents
from hunmin.tokenizer.spec import TokenizerSpec


@dataclass(frozen=True)
class Sample:
    """How much of each document is taken, in the order the documents are read.

    Args:
        num_bytes: UTF-8 bytes to take of each document, int64; more than it has means repeats.
        bytes_by_language: Bytes taken, by language.
    """

    num_bytes: npt.NDArray[np.int64]
    bytes_by_language: Mapping[str, int]

    @property
    def total_bytes(self) -> int:
        """UTF-8 bytes in the whole sample."""
        return sum(self.bytes_by_language.values())


def plan_sample(documents: Artifact, spec: TokenizerSpec) -> Sample:
    """Decide how much of each training document goes into the sample.

    Args:
        documents: A documents artifact.
        spec: Size of the sample, temperature, repeats and seed.

    Returns:
        The plan; memory is about 20 bytes per document.

    Raises:
        EmptyCorpusError: The train split holds no text.
    """
    keys, sizes, codes, languages = _survey(documents, spec.seed)
    available = {
        language: int(sizes[codes == code].sum()) for code, language in enumerate(languages)
    }
    if not sum(available.values()):
        raise EmptyCorpusError(
            "no text to train a tokenizer on: the train split is empty",
            where=documents.path,
            hint="look at the reject reasons in its README.md, then run the corpus stage again",
        )
    budgets = share_budget(
        available,
        min(spec.sample_max_bytes, sum(available.values())),
        temperature=spec.temperature,
        max_repeats=spec.max_repeats,
    )
    taken = np.zeros(len(sizes), dtype=np.int64)
    for code, language in enumerate(languages):
        members = np.flatnonzero(codes == code)
        members = members[np.argsort(keys[members], kind="stable")]
        taken[members] = _take_in_order(sizes[members], budgets[language])
    return Sample(taken, budgets)


def share_budget(
    available: Mapping[str, int], budget: int, *, temperature: float, max_repeats: int
) -> dict[str, int]:
    """Divide a number of bytes among languages.

    Args:
        available: Bytes of text by language.
        budget: Bytes to divide.
        temperature: Shares are proportional to available ** temperature; [0, 1].
        max_repeats: A language gets at most this multiple of what it has.

    Returns:
        Bytes by language; they add up to `budget` but for rounding.
    """
    weights = {name: size**temperature for name, size in available.items() if size}
    result = dict.fromkeys(available, 0)
    left = budget
    while weights:
        total = sum(weights.values())
        full = [
            name
            for name, weight in weights.items()
            if left * weight / total >= max_repeats * available[name]
        ]
        if not full:
            break
        for name in full:
            result[name] = max_repeats * available[name]
            del weights[name]
        left = max(budget - sum(result.values()), 0)
    total = sum(weights.values())
    return result | {name: int(left * weight / total) for name, weight in weights.items()}


def _take_in_order(sizes: npt.NDArray[np.int64], budget: int) -> npt.NDArray[np.int64]:
    """Bytes to take of each document so that whole repeats and a cut remainder fill the budget."""
    total = int(sizes.sum())
    if total == 0:
        return np.zeros_like(sizes)
    repeats, remainder = divmod(budget, total)
    before = np.cumsum(sizes) - sizes
    rest: npt.NDArray[np.int64] = np.clip(remainder - before, 0, sizes)
    return repeats * sizes + rest


def _survey(
    documents: Artifact, seed: int
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64], npt.NDArray[np.int64], list[str]]:
    """Return each document's hash, size in bytes and language code, and the languages."""
    codes: dict[str, int] = {}
    keys, sizes, code_parts = [], [], []
    for batch in read_documents(documents, "train", columns=["id", "text", "language"]):
        keys.append(hash_ids(batch.column("id"), seed))
        sizes.append(pc.binary_length(batch.column("text")).to_numpy(zero_copy_only=False))
        languages = batch.column("language").to_pylist()
        code_parts.append([codes.setdefault(str(name), len(codes)) for name in languages])
    return (
        np.concatenate([*keys, np.empty(0, np.uint64)]),
        np.concatenate([*sizes, np.empty(0, np.int64)]).astype(np.int64),
        np.concatenate([*code_parts, np.empty(0, np.int64)]).astype(np.int64),
        list(codes),
    )


def hash_ids(ids: pa.Array, seed: int) -> npt.NDArray[np.uint64]:
    """Return a seeded 64-bit hash of each document id; ordering by it shuffles the documents."""
    key = seed.to_bytes(16, "little", signed=False)
    digests = b"".join(
        blake2b(str(name).encode(), digest_size=8, key=key).digest() for name in ids.to_pylist()
    )
    return np.frombuffer(digests, dtype="<u8").astype(np.uint64)


@dataclass(frozen=True)
class SampledTexts:
    """Some texts of a sample.

    Args:
        texts: The texts; repeated texts are repeated.
        languages: The language tag of each.
    """

    texts: list[str]
    languages: list[str]


def read_sample(documents: Artifact, sample: Sample) -> Iterator[SampledTexts]:
    """Read the text of a planned sample.

    Args:
        documents: The artifact it was planned for.
        sample: The plan.

    Yields:
        The texts of one record batch's documents.
    """
    first = 0
    for batch in read_documents(documents, "train", columns=["text", "language"]):
        taken = sample.num_bytes[first : first + batch.num_rows]
        first += batch.num_rows
        chosen = np.flatnonzero(taken)
        rows = batch.take(pa.array(chosen))
        pieces = [
            (piece, language)
            for text, language, num_bytes in zip(
                rows.column("text").to_pylist(),
                rows.column("language").to_pylist(),
                taken[chosen].tolist(),
                strict=True,
            )
            for piece in _repeat(text, num_bytes)
        ]
        yield SampledTexts([piece for piece, _ in pieces], [str(tag) for _, tag in pieces])


def _repeat(text: str, num_bytes: int) -> list[str]:
    data = text.encode()
    repeats, remainder = divmod(num_bytes, len(data))
    rest = [data[:remainder].decode("utf-8", errors="ignore")] if remainder else []
    return [text] * repeats + rest
