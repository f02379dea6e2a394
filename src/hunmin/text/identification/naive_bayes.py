"""py3langid: naive Bayes over byte n-grams, many texts walked through its automaton at once."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hunmin.core.extras import require
from hunmin.text.identification.classifier import EXTRA, NO_GUESS, Guess
from hunmin.text.identification.labels import tag_of_label
from hunmin.text.languages import UNDETERMINED

_TEXTS_AT_ONCE = 256
_FEATURE_BITS = 32
Features = npt.NDArray[np.int32]


class _Model(NamedTuple):
    """The parts of the model, as arrays."""

    next_state: npt.NDArray[Any]
    first_move: npt.NDArray[np.int64]
    feature: npt.NDArray[np.int32]
    log_likelihood: npt.NDArray[np.float32]
    log_prior: npt.NDArray[np.float32]
    tags: tuple[str, ...]


class Py3LangId:
    """py3langid with the model in its package; loaded with the first text.

    Raises:
        MissingExtraError: py3langid is not installed.

    Note:
        Memory: about 130 MB. A copy in another process loads its own model.

    Source:
        Lui & Baldwin 2012 (ACL demo), in the version of A. Barbaresi. Labels and scores are those
        of `LanguageIdentifier(norm_probs=True)`, but the languages that are no candidates are left
        out, and texts are walked in step instead of one by one.
    """

    name = "py3langid"

    def __init__(self) -> None:
        require("py3langid", extra=EXTRA)

    @property
    def languages(self) -> frozenset[str]:
        """Canonical tags of its 140 labels."""
        return _languages()

    def classify(
        self, excerpts: Sequence[str], candidates: Sequence[frozenset[str]]
    ) -> list[Guess]:
        """Return the best candidate for each text, see `Classifier`."""
        encoded = [_encode(text) for text in excerpts]
        order = sorted(range(len(encoded)), key=lambda index: len(encoded[index]), reverse=True)
        guesses = [NO_GUESS] * len(encoded)
        for start in range(0, len(order), _TEXTS_AT_ONCE):
            chosen = order[start : start + _TEXTS_AT_ONCE]
            walked = _walk([encoded[index] for index in chosen])
            for index, seen, times in zip(chosen, *_counted(walked), strict=True):
                guesses[index] = _best(seen, times, len(encoded[index]), candidates[index])
        return guesses


def _encode(text: str) -> bytes:
    """Spell a text as the model's training data was: composed, not all in capitals."""
    lowered = text.lower() if text.isupper() else text
    return unicodedata.normalize("NFC", lowered).encode("utf-8", "replace")


def _walk(texts: Sequence[bytes]) -> Features:
    """Return the features at each byte of each text, -1 for none.

    Args:
        texts: Longest first.

    Returns:
        Shape (texts, bytes of the longest).
    """
    model = _model()
    lengths = np.array([len(text) for text in texts], np.int64)
    found = np.full((len(texts), int(lengths[0])), -1, np.int32)
    letters = np.zeros(found.shape, np.uint8)
    for row, text in enumerate(texts):
        letters[row, : len(text)] = np.frombuffer(text, np.uint8)
    columns = np.ascontiguousarray(letters.T)
    active = np.searchsorted(-lengths, -np.arange(found.shape[1]), side="left")
    state = np.zeros(len(texts), np.int64)
    for step, count in enumerate(active.tolist()):
        moves = model.first_move[state[:count]] + columns[step, :count]
        state = model.next_state[moves].astype(np.int64)
        found[:count, step] = model.feature[state]
    return found


def _counted(features: Features) -> tuple[list[Features], list[Features]]:
    """Return the different features of each text, ascending, and how often each stands."""
    rows = np.arange(len(features), dtype=np.int64)[:, np.newaxis] << _FEATURE_BITS
    keys = (rows | features)[features >= 0]
    keys.sort()
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    times = np.diff(starts, append=len(keys)).astype(np.int32)
    keys = keys[starts]
    bounds = np.searchsorted(keys >> _FEATURE_BITS, np.arange(1, len(features)))
    seen = (keys & ((1 << _FEATURE_BITS) - 1)).astype(np.int32)
    return np.split(seen, bounds), np.split(times, bounds)


def _best(seen: Features, times: Features, num_bytes: int, candidates: frozenset[str]) -> Guess:
    model = _model()
    columns = _columns(candidates)
    if not len(seen) or not len(columns):
        return NO_GUESS
    weights = np.log1p(times.astype(np.float32))
    scores = (weights @ model.log_likelihood.take(seen, axis=0) + model.log_prior)[columns]
    # The square root keeps scores of long and short texts comparable, as in the package.
    scores = np.exp((scores - scores.max()) / np.sqrt(num_bytes))
    shares: dict[str, float] = {}
    for column, share in zip(columns.tolist(), (scores / scores.sum()).tolist(), strict=True):
        shares[model.tags[column]] = shares.get(model.tags[column], 0.0) + share
    best = max(shares, key=shares.__getitem__)
    return Guess(best, min(shares[best], 1.0))


@functools.lru_cache(maxsize=512)
def _columns(candidates: frozenset[str]) -> npt.NDArray[np.int64]:
    tags = _model().tags
    return np.array([i for i, tag in enumerate(tags) if tag in candidates], np.int64)


@functools.cache
def _languages() -> frozenset[str]:
    return frozenset(_model().tags) - {UNDETERMINED}


@functools.cache
def _model() -> _Model:
    package = require("py3langid.langid", extra=EXTRA)
    loaded = package.LanguageIdentifier.from_model_file(package.MODEL_FILE)
    return _Model(
        next_state=np.asarray(loaded.tk_nextmove),
        first_move=np.asarray(loaded.tk_row, np.int64) << 8,
        feature=np.asarray(loaded.tk_output, np.int32),
        # Half precision would save 28 MB, and cost most of the time.
        log_likelihood=np.asarray(loaded.nb_ptc, np.float32),
        log_prior=loaded.nb_pc,
        tags=tuple(tag_of_label(label) for label in loaded.nb_classes),
    )
