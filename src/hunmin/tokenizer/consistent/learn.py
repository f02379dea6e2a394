"""Learn merges: the best pair again and again, each applied wherever its pair stands."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from hunmin.core.progress import progress
from hunmin.tokenizer.alphabet import NUM_BYTES
from hunmin.tokenizer.consistent.pairs import PairTable
from hunmin.tokenizer.consistent.sequences import LinkedSequences, Sequences


@dataclass
class Vocabulary:
    """The entries of a tokenizer and the merges that make them, in the order they are applied.

    Args:
        pieces: Bytes of each entry by symbol; the first 256 are the single bytes.
        merges: Pairs of symbols.
    """

    pieces: list[bytes] = field(default_factory=lambda: [bytes([i]) for i in range(NUM_BYTES)])
    merges: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._symbols = {piece: symbol for symbol, piece in enumerate(self.pieces)}

    def __len__(self) -> int:
        return len(self.pieces)

    def find(self, piece: bytes) -> int | None:
        """Return the symbol of an entry, or None."""
        return self._symbols.get(piece)

    def merge(self, left: int, right: int) -> int:
        """Add a merge, and its result unless it is there already.

        Args:
            left: First symbol.
            right: Second symbol.

        Returns:
            The symbol of the result.
        """
        piece = self.pieces[left] + self.pieces[right]
        symbol = self._symbols.setdefault(piece, len(self.pieces))
        if symbol == len(self.pieces):
            self.pieces.append(piece)
        self.merges.append((left, right))
        return symbol


def learn_merges(
    sequences: Sequences,
    vocabulary: Vocabulary,
    *,
    size: int,
    cross_penalty: float,
    min_score: int = 2,
    max_piece_bytes: int | None = None,
    banned: Collection[bytes] = (),
) -> None:
    """Add the best merges to a vocabulary until it is full or no pair is worth it.

    Args:
        sequences: What to learn from, in symbols of the vocabulary.
        vocabulary: Grows in place.
        size: Entries to reach.
        cross_penalty: Lambda in score = within - lambda x across; -1 gives plain BPE.
        min_score: Lowest score of a merge.
        max_piece_bytes: Longest entry; None for no limit.
        banned: What must not become an entry.

    Note:
        Deterministic: ties go to the pair with the smaller symbols. Memory: about 60
        bytes a symbol of the sequences, and some hundred for each pair that occurs `min_score`
        times.
    """
    linked = LinkedSequences(sequences)
    pairs = PairTable(linked, cross_penalty, min_score)
    first = len(vocabulary)
    with progress("learning merges", total=size - first, unit="entry") as bar:
        while len(vocabulary) < size and (best := pairs.pop_best()) is not None:
            left, right = best
            piece = vocabulary.pieces[left] + vocabulary.pieces[right]
            if len(piece) > (max_piece_bytes or len(piece)) or piece in banned:
                pairs.forget(left, right)
                continue
            known = len(vocabulary)
            symbol = vocabulary.merge(left, right)
            pairs.merge(left, right, symbol, is_new=symbol == known)
            bar.advance(len(vocabulary) - known)
