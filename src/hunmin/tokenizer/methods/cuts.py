"""Places in training text that no entry may cross, and names of special tokens that are words.

A special token and a piece of text cannot share a written form: were `the` special and also an
entry of the text, encoding a text would give the special id. So no entry may come to be written
like a special token.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from tokenizers.pre_tokenizers import PreTokenizer, Split
from tokenizers.pre_tokenizers import Sequence as Steps

from hunmin.core.errors import VocabularyError
from hunmin.tokenizer.alphabet import character_to_byte, piece_to_bytes

CUT = "\uffff"
"""Stands in training text where it is cut: code point U+FFFF is no character."""


def split_at_cuts(splitter: PreTokenizer) -> PreTokenizer:
    """Return a pre-tokenizer for training that also splits at cuts, and drops them."""
    return Steps([Split(CUT, "removed"), splitter])


def insert_cuts(text: str, positions: Sequence[int]) -> str:
    """Return a text with cuts before the characters at these positions, ascending."""
    borders = [0, *positions, len(text)]
    return CUT.join(text[start:end] for start, end in pairwise(borders))


def names_in_text(names: Iterable[str], splitter: PreTokenizer, *, byte_level: bool) -> list[str]:
    """Return the texts that an entry could be written for like one of these special tokens.

    Args:
        names: Special tokens.
        splitter: What no entry crosses.
        byte_level: Whether entries are written in the characters of the byte table.

    Returns:
        Texts that the splitter leaves whole: `###`, but not `<|user|>`.
    """
    entries = entries_of_names(names) if byte_level else [name.encode() for name in names]
    texts = filter(None, map(_as_text, entries))
    return [text for text in texts if len(splitter.pre_tokenize_str(text)) == 1]


def _as_text(entry: bytes) -> str | None:
    try:
        text = entry.decode()
    except UnicodeDecodeError:
        return None
    # One character cannot be cut.
    return text if len(text) > 1 else None


def entries_of_names(names: Iterable[str]) -> list[bytes]:
    """Return the byte-level entries that would be written like one of these special tokens."""
    table = character_to_byte()
    return [piece_to_bytes(name) for name in names if all(c in table for c in name)]


def cut_names(texts: Iterable[list[str]], names: Sequence[str]) -> Iterator[list[str]]:
    """Cut every occurrence of some names after their first character.

    Args:
        texts: Batches of texts.
        names: See `names_in_text`.

    Yields:
        The batches; no name is left whole.
    """
    for batch in texts:
        for name in names:
            cut = name[0] + CUT + name[1:]
            batch = [text.replace(name, cut) if name in text else text for text in batch]
        yield batch


def refuse_collisions(entries: Iterable[str], names: Iterable[str]) -> None:
    """Refuse special tokens that are written like an entry.

    Args:
        entries: Entries that encoding a text can give.
        names: Special tokens.

    Raises:
        VocabularyError: One of them is.
    """
    collisions = sorted(set(entries) & set(names))
    if collisions:
        raise VocabularyError(
            "a special token is written like an entry that texts need",
            where="tokenizer.special_tokens",
            given=", ".join(collisions),
            allowed="names that no text needs as one entry, such as <|user|>",
            hint="choose another name",
        )
