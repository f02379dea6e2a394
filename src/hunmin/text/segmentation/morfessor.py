"""Any language without a tool: Morfessor learns recurring parts of words from a list of words."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Mapping
from importlib import metadata
from itertools import accumulate
from typing import Any

from hunmin.core.errors import InputError
from hunmin.core.extras import require
from hunmin.core.hashing import stable_hash
from hunmin.core.logs import get_logger
from hunmin.text.segmentation.words import WordAnalyser, word_pattern

EXTRA = "morfessor"
MAX_TYPES = 30_000
MAX_SQUARED_LETTERS = 2_200_000
"""Squared lengths of the types, added up: each takes about 25 µs, in any script, so training takes
about a minute at most on one core. That is 28,000 types of English, and 4,000 of Thai, whose runs
of letters are clauses."""
MAX_LETTERS = 60
_SEED = 0
logger = get_logger(__name__)


class MorfessorAnalyser(WordAnalyser):
    """Morfessor Baseline, trained on the commonest word types, each counted once.

    Words are trained on and segmented in lower case. Longer ones than 60 letters are left whole.

    Args:
        words: How often each word occurs; text around and between words does no harm.
        max_types: So many types at most are trained on, the commonest first; fewer if they are
            long, see `MAX_SQUARED_LETTERS`.

    Raises:
        MissingExtraError: morfessor is not installed.
        InputError: There is no word.

    Note:
        Deterministic: the same counts give the same model, in every process. Counting types once
        was chosen by measurement (F1 against SIGMORPHON sentences, 12,000 types; types, logarithm
        of counts, counts): English .42, .35, .14; Czech .47, .40, .37; Mongolian .57, .60, .53.

    Source:
        Creutz & Lagus 2007; Virpioja et al. 2013 (Morfessor 2.0).
    """

    def __init__(self, words: Mapping[str, int], *, max_types: int = MAX_TYPES) -> None:
        super().__init__()
        library = require("morfessor", extra=EXTRA)
        types = _commonest(words, max_types)
        if not types:
            raise InputError(
                "there is no word to learn morphemes from",
                given=f"{len(words)} entries",
                hint="Morfessor needs text in which words are written with letters",
            )
        logger.info("learning the morphemes of %d words with Morfessor", len(types))
        self._keep(_train(library, types), types)

    def _keep(self, model: Any, types: list[str]) -> None:
        self._model = model
        self._types = types
        self._identity = f"morfessor {metadata.version('morfessor')} words {stable_hash(types)}"

    def save(self) -> bytes:
        """Return the trained model as JSON: the segments of each word it was trained on."""
        rows = [list(self._model.segment(word)) for word in self._types]
        return json.dumps(rows, ensure_ascii=False).encode()

    @classmethod
    def load(cls, data: bytes) -> MorfessorAnalyser:
        """Return the analyser that was saved, without training.

        Args:
            data: From `save`.

        Returns:
            An analyser with the same identity and the same results.

        Raises:
            MissingExtraError: morfessor is not installed.
        """
        model = require("morfessor", extra=EXTRA).BaselineModel()
        rows = [tuple(row) for row in json.loads(data)]
        model.load_segmentations((1, "".join(row), row) for row in rows)
        analyser = cls.__new__(cls)
        WordAnalyser.__init__(analyser)
        analyser._keep(model, ["".join(row) for row in rows])
        return analyser

    @property
    def identity(self) -> str:
        """Version and a hash of the words it was trained on."""
        return self._identity

    def cuts(self, word: str) -> tuple[int, ...]:
        """Return where the morphemes of a word meet."""
        lowered = word.lower()
        if len(lowered) != len(word) or len(word) > MAX_LETTERS:
            return ()
        parts, _ = self._model.viterbi_segment(lowered)
        positions, end = [], 0
        for part in parts[:-1]:
            end += len(part)
            positions.append(end)
        return tuple(positions)


def _commonest(words: Mapping[str, int], max_types: int) -> list[str]:
    counts: Counter[str] = Counter()
    for written, count in words.items():
        for word in word_pattern().findall(written):
            if len(word) <= MAX_LETTERS:
                counts[word.lower()] += count
    ranked = sorted(counts, key=lambda word: (-counts[word], word))[:max_types]
    work = accumulate(len(word) ** 2 for word in ranked)
    return [word for word, done in zip(ranked, work, strict=True) if done <= MAX_SQUARED_LETTERS]


def _train(library: Any, types: list[str]) -> Any:
    # The library draws from the global generator and writes dots to stderr.
    state, shows = random.getstate(), library.utils.show_progress_bar
    random.seed(_SEED)
    library.utils.show_progress_bar = False
    try:
        model = library.BaselineModel()
        model.load_data([(1, word) for word in types])
        model.train_batch()
    finally:
        random.setstate(state)
        library.utils.show_progress_bar = shows
    return model
