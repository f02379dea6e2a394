"""Windows of a packed stream, cut into their documents and corrupted, each row by one objective.

Shapes: B rows, W tokens of a window, D documents, of which a row has one or more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hunmin.core.errors import InputError
from hunmin.data.grouping import SEPARATOR
from hunmin.data.objectives.base import Corrupted, Layout, Objective
from hunmin.data.objectives.build import find_language_ids, make_objective
from hunmin.data.objectives.denoising import TextInfilling
from hunmin.data.objectives.kinds import choose_objectives
from hunmin.data.objectives.mixture import ObjectiveMixture
from hunmin.data.objectives.ragged import Bools, Documents, Ragged
from hunmin.data.objectives.sentences import sentence_table
from hunmin.data.objectives.spec import DeshuffleSpec, InfillSpec, ObjectiveSpec
from hunmin.data.permutation import Int64s
from hunmin.data.spec import DataSpec
from hunmin.tokenizer.load import TextTokenizer


@dataclass(frozen=True, eq=False)
class Pieces:
    """What rows hold of documents, in order; a document's boundary token is not in its piece.

    Args:
        text: Tokens, D rows, none of them empty.
        rows: Row of each, int64, shape (D,).
        starts: Place of its first token in its row, int64, shape (D,).
        is_text: bool, shape (B, W); False at boundary tokens.
    """

    text: Ragged
    rows: Int64s
    starts: Int64s
    is_text: Bools

    @property
    def stops(self) -> Int64s:
        """Place after the last token of each in its row, int64, shape (D,)."""
        stops: Int64s = self.starts + self.text.lengths
        return stops


def cut_windows(windows: Int64s, boundary_id: int, *, room: int = 0) -> Pieces:
    """Cut rows where documents begin.

    Args:
        windows: Tokens, int64, shape (B, W).
        boundary_id: The token that begins a document.
        room: Tokens that will be added to each piece: the end of a row is left out, so that it is
            not longer then.

    Returns:
        The pieces. A row that begins within a document begins with a piece of it.
    """
    is_text = windows != boundary_id
    begins = is_text.copy()
    begins[:, 1:] &= ~is_text[:, :-1]
    if room:
        is_text &= np.cumsum(1 + room * begins, axis=1) <= windows.shape[1]
        begins &= is_text
    rows, starts = np.nonzero(begins)
    # How many tokens of text come before each: a piece ends where the next begins.
    before = np.flatnonzero(begins[is_text])
    lengths = np.diff(before, append=np.count_nonzero(is_text))
    return Pieces(Ragged.from_lengths(windows[is_text], lengths), rows, starts, is_text)


@dataclass(frozen=True, eq=False)
class CorruptedRows:
    """Some rows of a batch, all corrupted by the same objective.

    Args:
        rows: Which rows of the batch, int64, shape (R,).
        objective: What corrupted them.
        pieces: What was corrupted; its rows are numbers among these rows, [0, R).
        result: One row for each piece.
    """

    rows: Int64s
    objective: Objective
    pieces: Pieces
    result: Corrupted

    def fill(self, values_BW: Int64s, tokens: Int64s) -> None:
        """Write one value for each token of the pieces where it is in the batch.

        Args:
            values_BW: One value for each token of the windows; changed in place.
            tokens: As many as the pieces have.
        """
        mine = values_BW[self.rows]
        mine[self.pieces.is_text] = tokens
        values_BW[self.rows] = mine


class Corruptor:
    """The objectives of a recipe on the rows of a loader.

    Args:
        spec: Objectives, seed, context, what groups are.
        tokenizer: The one that made the shards.
        layout: What the model is.
        groups: Names of the loader's groups.

    Raises:
        InputError: An objective does not suit the model or the groups.
        VocabularyError: The tokenizer has no token that an objective needs.
    """

    def __init__(
        self, spec: DataSpec, tokenizer: TextTokenizer, layout: Layout, groups: Sequence[str]
    ) -> None:
        self.specs = choose_objectives(spec.objectives, layout.model_kind)
        self.boundary_id = tokenizer.boundary_id
        self._mixture: ObjectiveMixture = make_objective(
            self.specs, tokenizer, layout, context=spec.context, seed=spec.seed
        )
        self._stride = spec.context + 1
        shuffles = any(_needs_sentences(objective) for objective in self.specs)
        self._sentences = sentence_table(tokenizer) if shuffles else None
        self._languages = _languages(self.specs, spec, tokenizer, groups)

    def corrupt(
        self, windows: Int64s, samples_B: Int64s, groups_B: Int64s
    ) -> Iterator[CorruptedRows]:
        """Draw an objective for each row, and corrupt the row's documents by it.

        Args:
            windows: Tokens, int64, shape (B, W); W is at most the context and one.
            samples_B: Number of each row's sample, int64. The result for a row depends on it, on
                the row's tokens and on the seed alone.
            groups_B: Index of each row's group.

        Yields:
            Rows with the same objective; each row of the batch once.
        """
        choices = self._mixture.choices(0, samples_B, len(samples_B))
        for number in np.unique(choices).tolist():
            rows = np.flatnonzero(choices == number)
            objective = self._mixture.objectives[number]
            adds = isinstance(objective, TextInfilling) and objective.language_ids
            pieces = cut_windows(windows[rows], self.boundary_id, room=int(adds))
            documents = self._documents(pieces, groups_B[rows])
            # A sample is never repeated, so that its number says which epoch it is.
            numbers = samples_B[rows][pieces.rows] * self._stride + pieces.starts
            yield CorruptedRows(rows, objective, pieces, objective(documents, 0, numbers))

    def _documents(self, pieces: Pieces, groups: Int64s) -> Documents:
        tokens = pieces.text.tokens
        starts = None if self._sentences is None else self._sentences.starts(tokens)
        known = self._languages
        languages = None if known is None else known[groups][pieces.rows]
        return Documents(tokens, pieces.text.offsets, starts, languages)


def _needs_sentences(spec: ObjectiveSpec) -> bool:
    if isinstance(spec, InfillSpec):
        return spec.permute_sentences
    return isinstance(spec, DeshuffleSpec) and spec.of == "sentences"


def _languages(
    specs: Sequence[ObjectiveSpec],
    data: DataSpec,
    tokenizer: TextTokenizer,
    groups: Sequence[str],
) -> Int64s | None:
    """Token of each group's language, if an objective asks for it."""
    if not any(isinstance(spec, InfillSpec) and spec.language_tokens for spec in specs):
        return None
    if "language" not in data.mix_by:
        raise InputError(
            "the groups do not tell the language of a document, whose token this objective needs",
            where="data.mix_by",
            given=data.mix_by,
            allowed="language, language and source",
            hint="change data.mix_by and make the shards again, or leave out language_tokens",
        )
    languages = [group.partition(SEPARATOR)[0] for group in groups]
    return np.array(find_language_ids(tokenizer, languages), dtype=np.int64)
