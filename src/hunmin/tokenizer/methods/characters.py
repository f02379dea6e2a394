"""The characters of a sample: which become entries of their own, and which are spelled in bytes."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

import numpy as np
import numpy.typing as npt

from hunmin.core.errors import VocabularyError
from hunmin.tokenizer.alphabet import NUM_BYTES
from hunmin.tokenizer.consistent.characters import NUM_CODE_POINTS, cover
from hunmin.tokenizer.methods.cuts import CUT
from hunmin.tokenizer.spec import TokenizerSpec


def count_characters(texts: Iterable[list[str]]) -> npt.NDArray[np.int64]:
    """Return how often each code point occurs in batches of texts."""
    counts = np.zeros(NUM_CODE_POINTS, dtype=np.int64)
    for batch in texts:
        codes = np.frombuffer("".join(batch).encode("utf-32-le"), dtype="<u4")
        points, numbers = np.unique(codes, return_counts=True)
        counts[points] += numbers
    return counts


def choose_alphabet(counts: npt.NDArray[np.int64], coverage: float) -> list[str]:
    """Return the characters that become entries.

    Args:
        counts: Occurrences of each code point.
        coverage: The share of the text's characters to cover, see `cover`.

    Returns:
        Characters, most frequent first; of equally frequent ones the lower code point.
    """
    return [chr(code) for code in cover(counts, coverage) if chr(code) != CUT]


def check_room(spec: TokenizerSpec, alphabet: Collection[str]) -> None:
    """Refuse a vocabulary that the characters alone overfill.

    Args:
        spec: Size of the vocabulary.
        alphabet: Characters that become entries.

    Raises:
        VocabularyError: No room is left beside them, the bytes and the special tokens.
    """
    least = NUM_BYTES + len(spec.all_special_tokens) + len(alphabet)
    if spec.vocab_size < least:
        raise VocabularyError(
            f"the vocabulary has no room for the {len(alphabet)} characters of the text",
            where="tokenizer.vocab_size",
            given=spec.vocab_size,
            allowed=f"{least} or more with this text",
            hint="raise it, or lower tokenizer.character_coverage so that more characters are "
            "spelled in bytes",
        )


def cut_rare(
    texts: Iterable[list[str]], counts: npt.NDArray[np.int64], alphabet: Collection[str], wall: str
) -> Iterator[list[str]]:
    """Replace characters outside an alphabet.

    Args:
        texts: Batches of texts.
        counts: Occurrences of each code point in them.
        alphabet: Characters to keep.
        wall: What stands for a run of others.

    Yields:
        The batches.
    """
    kept = set(alphabet)
    rare = [chr(code) for code in np.flatnonzero(counts).tolist() if chr(code) not in kept]
    if not rare:
        yield from texts
        return
    pattern = re.compile(f"[{re.escape(''.join(rare))}]+")
    for batch in texts:
        yield [pattern.sub(wall, text) for text in batch]
