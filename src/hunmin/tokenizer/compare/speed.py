"""How fast tokenizers encode: CPU time of one thread, in rounds in which they take turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hunmin.core.progress import progress
from hunmin.tokenizer.compare.results import Speed
from hunmin.tokenizer.compare.subject import EncodeTexts, Subject

MEGABYTE = 1_000_000
MAX_BYTES = 1_000_000
WARM_UP_BYTES = 20_000
MAX_SECONDS_PER_ROUND = 3.0
REFERENCE_ENGINE = "tokenizers"


class _Contender(NamedTuple):
    name: str
    engine: str
    encode: EncodeTexts
    texts: Sequence[str]
    """As many as it can encode in a few seconds."""


def measure_speeds(
    subjects: Sequence[Subject], texts: Sequence[str], *, baseline: str, rounds: int = 3
) -> dict[str, dict[str, Speed]]:
    """Measure how fast each engine of each tokenizer encodes.

    Args:
        subjects: The tokenizers; they take turns, so that a slow minute hits all of them.
        texts: Real texts; up to 1 MB of them is encoded, less by slow engines.
        baseline: Tokenizer whose library engine the ratios refer to.
        rounds: Turns of each; a speed is the median.

    Returns:
        Speeds by tokenizer and engine.

    Note:
        CPU time of this process, all its threads together: waiting does not count.
    """
    contenders = [
        _warm_up(subject.name, engine, encode, texts)
        for subject in subjects
        for engine, encode in subject.engines.items()
    ]
    rates: dict[tuple[str, str], list[float]] = {(c.name, c.engine): [] for c in contenders}
    with progress("encoding for speed", total=rounds * len(contenders), unit="turns") as bar:
        for _ in range(rounds):
            for contender in contenders:
                rates[contender.name, contender.engine].append(_rate(contender))
                bar.advance()
    return _summarize(rates, rates.get((baseline, REFERENCE_ENGINE)))


def _summarize(
    rates: Mapping[tuple[str, str], Sequence[float]], reference: Sequence[float] | None
) -> dict[str, dict[str, Speed]]:
    speeds: dict[str, dict[str, Speed]] = {}
    for (name, engine), values in rates.items():
        ratios = [mine / theirs for mine, theirs in zip(values, reference or (), strict=False)]
        speeds.setdefault(name, {})[engine] = Speed(
            megabytes_per_cpu_second=statistics.median(values),
            ratio=statistics.median(ratios) if ratios else None,
        )
    return speeds


def _warm_up(name: str, engine: str, encode: EncodeTexts, texts: Sequence[str]) -> _Contender:
    """Encode a little, which fills caches and chooses engines, and see how much fits in a round."""
    few = _Contender(name, engine, encode, _first_bytes(texts, WARM_UP_BYTES))
    _rate(few)
    max_bytes = min(MAX_BYTES, int(_rate(few) * MEGABYTE * MAX_SECONDS_PER_ROUND))
    return few._replace(texts=_first_bytes(texts, max_bytes))


def _rate(contender: _Contender) -> float:
    started = time.process_time()
    contender.encode(contender.texts)
    seconds = max(time.process_time() - started, 1e-9)
    return sum(len(text.encode()) for text in contender.texts) / MEGABYTE / seconds


def _first_bytes(texts: Sequence[str], max_bytes: int) -> Sequence[str]:
    """Return the first texts of that many bytes together, at least one."""
    num_bytes = 0
    for number, text in enumerate(texts):
        num_bytes += len(text.encode())
        if num_bytes > max_bytes:
            return texts[: max(number, 1)]
    return texts
