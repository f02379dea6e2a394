"""A tokenizer trimmed to the pieces that some text uses, which encodes that text as before.

Nothing new is learned: pieces and merges are taken away, and ids close up. That texts keep their
pieces follows from how each kind encodes:

BPE        merges that made a piece are kept with it; at each step the merge that won before is
           there, and no other is
Unigram    the best path is still there, and only others went away
WordPiece  the longest entry that fits is still there, and only others went away
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tokenizers import Tokenizer

from hunmin.core.errors import ArtifactKindError, StageFailedError
from hunmin.tokenizer.alphabet import byte_to_character
from hunmin.tokenizer.pieces import BYTE_ENTRIES, read_merges

Pair = tuple[str, str]


@dataclass(frozen=True)
class TrimmedTokenizer:
    """A tokenizer with fewer pieces.

    Args:
        definition: Content of `tokenizer.json`.
        old_ids: The old id of each new one.
        ids_before: Entries of the old tokenizer.
        merges_before: Merges of the old tokenizer.
        merges_after: Merges that are left.
    """

    definition: str
    old_ids: tuple[int, ...]
    ids_before: int
    merges_before: int
    merges_after: int

    @property
    def new_ids(self) -> dict[int, int]:
        """The new id of each old one that is left."""
        return {old: new for new, old in enumerate(self.old_ids)}


def open_plain(definition: str) -> Tokenizer:
    """Return the library's tokenizer; special tokens written out in a text are text."""
    tokenizer = Tokenizer.from_str(definition)
    tokenizer.encode_special_tokens = True
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def count_ids(tokenizer: Tokenizer, texts: Iterable[Sequence[str]]) -> Counter[int]:
    """Count the ids of texts.

    Args:
        tokenizer: From `open_plain`.
        texts: Batches of texts.

    Returns:
        How often each id occurs.
    """
    counts: Counter[int] = Counter()
    for batch in texts:
        for encoding in tokenizer.encode_batch_fast(list(batch), add_special_tokens=False):
            counts.update(encoding.ids)
    return counts


def trim_tokenizer(definition: str, used: Iterable[int]) -> TrimmedTokenizer:
    """Take away all pieces but those that are used and what they are made of.

    Args:
        definition: Content of `tokenizer.json`: BPE, Unigram or WordPiece.
        used: Ids to keep. Special and other added tokens, single bytes and the token for what is
            unknown are kept as well; the order of ids stays.

    Returns:
        The trimmed tokenizer.

    Raises:
        ArtifactKindError: A model of another kind, or one whose pieces mark their place in a word.
    """
    parsed = json.loads(definition)
    model = parsed["model"]
    _check_kind(model)
    ids = _ids_by_piece(parsed)
    pieces = {number: piece for piece, number in ids.items()}
    kept = {pieces[number] for number in used if number in pieces}
    kept |= _always_kept(parsed) & ids.keys()
    merges = [(left, right) for left, right in read_merges(model)]
    if model["type"] == "BPE":
        kept |= _ingredients(kept, merges, _starts(parsed))
    old_ids = sorted(ids[piece] for piece in kept)
    new_ids = {old: new for new, old in enumerate(old_ids)}
    left = _renumber(parsed, kept, merges, new_ids)
    trimmed = json.dumps(parsed, ensure_ascii=False, indent=2)
    _check_ids(trimmed, {pieces[old]: new for old, new in new_ids.items()})
    return TrimmedTokenizer(trimmed, tuple(old_ids), len(ids), len(merges), left)


def check_same(old: Tokenizer, trimmed: TrimmedTokenizer, texts: Sequence[str]) -> None:
    """Make sure that texts are encoded as before.

    Args:
        old: The old tokenizer, from `open_plain`.
        trimmed: The trimmed one.
        texts: Texts.

    Raises:
        StageFailedError: A text is encoded otherwise.
    """
    new = open_plain(trimmed.definition)
    rows = zip(
        texts,
        old.encode_batch_fast(list(texts), add_special_tokens=False),
        new.encode_batch_fast(list(texts), add_special_tokens=False),
        strict=True,
    )
    for text, before, after in rows:
        if before.ids != [trimmed.old_ids[number] for number in after.ids]:
            raise StageFailedError(
                "the trimmed tokenizer encodes a text otherwise than before",
                given=text[:100],
                hint="report this tokenizer: its model does something that is not known here",
            )


def _check_kind(model: Mapping[str, Any]) -> None:
    marks = model.get("end_of_word_suffix") or (
        model["type"] == "BPE" and model.get("continuing_subword_prefix")
    )
    if model["type"] not in ("BPE", "Unigram", "WordPiece") or marks or model.get("dropout"):
        raise ArtifactKindError(
            "the vocabulary of this tokenizer cannot be trimmed",
            given=f"model {model['type']}, dropout {model.get('dropout')}, marks {marks or 'none'}",
            allowed="BPE, Unigram or WordPiece; BPE without marks in words and without dropout",
        )


def _ids_by_piece(parsed: Mapping[str, Any]) -> dict[str, int]:
    vocabulary = parsed["model"]["vocab"]
    if isinstance(vocabulary, list):
        own = {piece: number for number, (piece, _) in enumerate(vocabulary)}
    else:
        own = dict(vocabulary)
    return own | {token["content"]: int(token["id"]) for token in parsed["added_tokens"]}


def _always_kept(parsed: Mapping[str, Any]) -> set[str]:
    model = parsed["model"]
    kept = {token["content"] for token in parsed["added_tokens"]} | set(BYTE_ENTRIES)
    if _is_byte_level(parsed):
        kept |= set(byte_to_character())
    unknown = model.get("unk_token")
    if model["type"] == "Unigram" and model.get("unk_id") is not None:
        unknown = model["vocab"][model["unk_id"]][0]
    return kept if unknown is None else kept | {unknown}


def _is_byte_level(parsed: Mapping[str, Any]) -> bool:
    return '"ByteLevel"' in json.dumps([parsed.get("pre_tokenizer"), parsed.get("normalizer")])


def _starts(parsed: Mapping[str, Any]) -> frozenset[str]:
    """Entries that no merge makes, whatever they are spelled like."""
    return frozenset({token["content"] for token in parsed["added_tokens"]} | set(BYTE_ENTRIES))


def _ingredients(kept: set[str], merges: Sequence[Pair], whole: frozenset[str]) -> set[str]:
    """Return all that arises on the way to the pieces."""
    ranks = {pair: rank for rank, pair in enumerate(merges)}
    found: set[str] = set()
    for piece in kept - whole:
        found |= _trace(piece, ranks)
    return found


def _trace(piece: str, ranks: Mapping[Pair, int]) -> set[str]:
    """Merge a piece by itself, as it is merged within any word, and return what arises."""
    symbols = list(piece)
    found = set(symbols)
    while len(symbols) > 1:
        rank, place = min(
            (ranks.get(pair, len(ranks)), place) for place, pair in enumerate(pairwise(symbols))
        )
        if rank == len(ranks):
            break
        symbols[place : place + 2] = [symbols[place] + symbols[place + 1]]
        found.add(symbols[place])
    return found


def _renumber(
    parsed: dict[str, Any], kept: set[str], merges: Sequence[Pair], new_ids: Mapping[int, int]
) -> int:
    """Write the smaller vocabulary into a definition; return how many merges are left."""
    model = parsed["model"]
    for token in parsed["added_tokens"]:
        token["id"] = new_ids[token["id"]]
    if isinstance(model["vocab"], list):
        rows = list(enumerate(model["vocab"]))
        model["vocab"] = [row for number, row in rows if number in new_ids]
        if model.get("unk_id") is not None:
            model["unk_id"] = new_ids[model["unk_id"]]
    else:
        own = sorted(model["vocab"].items(), key=lambda entry: entry[1])
        model["vocab"] = {p: new_ids[number] for p, number in own if number in new_ids}
    left = [pair for pair in merges if {*pair, pair[0] + pair[1]} <= kept]
    if model["type"] == "BPE":
        as_text = bool(model["merges"]) and isinstance(model["merges"][0], str)
        model["merges"] = [" ".join(pair) if as_text else list(pair) for pair in left]
    parsed["post_processor"] = _renumbered(parsed.get("post_processor"), new_ids)
    if parsed.get("padding"):
        parsed["padding"]["pad_id"] = new_ids[parsed["padding"]["pad_id"]]
    return len(left)


def _renumbered(processor: Any, new_ids: Mapping[int, int]) -> Any:
    """Renumber what a post-processor puts around texts."""
    if processor is None:
        return None
    changed = dict(processor)
    for name in ("sep", "cls"):
        if name in changed:
            changed[name] = [changed[name][0], new_ids[changed[name][1]]]
    if isinstance(changed.get("special_tokens"), dict):
        changed["special_tokens"] = {
            name: {**token, "ids": [new_ids[number] for number in token["ids"]]}
            for name, token in changed["special_tokens"].items()
        }
    if "processors" in changed:
        changed["processors"] = [_renumbered(part, new_ids) for part in changed["processors"]]
    return changed


def _check_ids(definition: str, expected: Mapping[str, int]) -> None:
    """The library numbers added tokens that the vocabulary lacks by itself."""
    found = Tokenizer.from_str(definition).get_vocab(with_added_tokens=True)
    if found != dict(expected):
        wrong = sorted(name for name in expected if found.get(name) != expected[name])[:5]
        raise ArtifactKindError(
            "the ids of this tokenizer's added tokens cannot be closed up",
            given=", ".join(f"{name}: {found.get(name)}" for name in wrong) or "other entries",
            allowed="added tokens that are entries of the vocabulary, or follow it",
            hint="give the added tokens ids within the vocabulary",
        )
