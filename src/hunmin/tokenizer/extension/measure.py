"""What an extension does to texts: how much shorter they get, what changes, what is reached."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from typing import Any

from hunmin.tokenizer.alphabet import piece_to_bytes
from hunmin.tokenizer.extension.base import BaseTokenizer
from hunmin.tokenizer.extension.scripts import PieceRule
from hunmin.tokenizer.load import TextTokenizer

_MAX_SHOWN = 20


@dataclass(frozen=True)
class ExtensionFacts:
    """What was added to a tokenizer and what that does.

    Args:
        base_ids: Ids of the old tokenizer, those of added tokens included.
        new_pieces: How many were added; their ids follow the old ones.
        scripts: Every new piece holds or begins a character of these; empty for no condition.
        shared_characters: Other characters that a new piece can begin, because their first bytes
            are the same; their ids may have changed.
        held_out_lines: Lines of the new language that nothing was learned from.
        bytes_per_token_before: UTF-8 bytes a token on them with the old tokenizer.
        bytes_per_token_after: The same with the extended one.
        bytes_per_token_donor: The same with the donor.
        donor_boundaries_before: Share of the donor's boundaries inside words, in the held-out
            lines, where the old tokenizer has one too.
        donor_boundaries_after: The same share with the extended one.
        reachable: Share of the new pieces whose own text is encoded as that piece.
        used: Share of the new pieces that occur in the texts they were learned from.
        kept_lines: Held-out lines that should be encoded as before.
        kept_lines_changed: Share of them that have other ids; None if there were none.
        round_trip_failures: Held-out lines of either kind that decode to something else than with
            the old tokenizer.
    """

    base_ids: int
    new_pieces: int
    scripts: tuple[str, ...]
    shared_characters: tuple[str, ...]
    held_out_lines: int
    bytes_per_token_before: float
    bytes_per_token_after: float
    bytes_per_token_donor: float
    donor_boundaries_before: float
    donor_boundaries_after: float
    reachable: float
    used: float
    kept_lines: int
    kept_lines_changed: float | None
    round_trip_failures: int

    def as_dict(self) -> dict[str, Any]:
        """Return the facts as JSON values."""
        lists = {
            "scripts": list(self.scripts),
            "shared_characters": "".join(self.shared_characters),
        }
        return asdict(self) | lists


def measure_extension(
    base: BaseTokenizer,
    extended: BaseTokenizer,
    donor: TextTokenizer,
    *,
    rule: PieceRule,
    counts: Mapping[str, int],
    held_out: Sequence[str],
    kept: Sequence[str],
) -> ExtensionFacts:
    """Measure an extension.

    Args:
        base: The old tokenizer.
        extended: The new one.
        donor: The tokenizer of the new language.
        rule: Which pieces were allowed.
        counts: Words that were learned from.
        held_out: Lines of the new language that were not learned from; at least one.
        kept: Lines that should be encoded as before, none of them used in learning.

    Returns:
        The facts.
    """
    new_ids = range(base.num_ids, extended.num_ids)
    before, after = base.encode(held_out), extended.encode(held_out)
    kept_before, kept_after = base.encode(kept), extended.encode(kept)
    num_changed = sum(old != new for old, new in zip(kept_before, kept_after, strict=True))
    num_bytes = sum(len(line.encode()) for line in held_out)
    used = {number for word in counts for number in extended.encode_word(word)}
    return ExtensionFacts(
        base_ids=base.num_ids,
        new_pieces=len(new_ids),
        scripts=rule.scripts,
        shared_characters=tuple(sorted(rule.shared(bytes_of(extended, new_ids)))),
        held_out_lines=len(held_out),
        bytes_per_token_before=num_bytes / _total(before),
        bytes_per_token_after=num_bytes / _total(after),
        bytes_per_token_donor=num_bytes / _total(donor.encode_batch(list(held_out))),
        donor_boundaries_before=_boundaries_shared(base, donor, held_out),
        donor_boundaries_after=_boundaries_shared(extended, donor, held_out),
        reachable=_share(extended.encode_word(extended.pieces[n]) == [n] for n in new_ids),
        used=_share(number in used for number in new_ids),
        kept_lines=len(kept),
        kept_lines_changed=num_changed / len(kept) if kept else None,
        round_trip_failures=_failures(
            base, extended, [*before, *kept_before], [*after, *kept_after]
        ),
    )


def bytes_of(tokenizer: BaseTokenizer, ids: Iterable[int]) -> list[bytes]:
    """Return the bytes of pieces of the model, by id."""
    return [piece_to_bytes(tokenizer.pieces[number]) for number in ids]


def _total(rows: Sequence[Any]) -> int:
    return max(sum(len(row) for row in rows), 1)


def _share(flags: Any) -> float:
    values = list(flags)
    return sum(values) / len(values) if values else 1.0


def _failures(
    base: BaseTokenizer,
    extended: BaseTokenizer,
    before: Sequence[Sequence[int]],
    after: Sequence[Sequence[int]],
) -> int:
    pairs = zip(before, after, strict=True)
    return sum(base.decode(old) != extended.decode(new) for old, new in pairs)


def _boundaries_shared(base: BaseTokenizer, donor: TextTokenizer, lines: Sequence[str]) -> float:
    """Return the share of the donor's boundaries inside words that a tokenizer has too."""
    words = sorted({word for line in lines for word in base.words(line)})
    texts = [piece_to_bytes(word).decode() for word in words]
    shared = wanted = 0
    for word, row in zip(words, donor.encode_batch(texts), strict=True):
        theirs = set(accumulate(len(donor.token_bytes(int(token))) for token in row)) - {len(word)}
        ours = set(accumulate(len(base.pieces[number]) for number in base.encode_word(word)))
        wanted += len(theirs)
        shared += len(theirs & ours)
    return shared / wanted if wanted else 1.0


def describe_extension(facts: ExtensionFacts, samples: Sequence[str]) -> str:
    """Return a README of an extended tokenizer.

    Args:
        facts: What was measured.
        samples: Texts of some new pieces, best first.

    Returns:
        Markdown.
    """
    scripts = ", ".join(facts.scripts) or "any"
    changed = "not measured"
    if facts.kept_lines_changed is not None:
        changed = f"{facts.kept_lines_changed:.2%} of {facts.kept_lines:,}"
    rows = {
        "old ids, all unchanged": f"0 to {facts.base_ids - 1:,}",
        "new pieces": f"{facts.new_pieces:,}, ids from {facts.base_ids:,}",
        "scripts of new pieces": scripts,
        "bytes a token before": f"{facts.bytes_per_token_before:.2f}",
        "bytes a token after": f"{facts.bytes_per_token_after:.2f}",
        "bytes a token of the donor": f"{facts.bytes_per_token_donor:.2f}",
        "donor's boundaries shared before": f"{facts.donor_boundaries_before:.1%}",
        "donor's boundaries shared after": f"{facts.donor_boundaries_after:.1%}",
        "new pieces that are reachable": f"{facts.reachable:.1%}",
        "new pieces used in the texts": f"{facts.used:.1%}",
        "lines to be kept that changed": changed,
        "lines that decode differently": f"{facts.round_trip_failures}",
    }
    table = "\n".join(f"| {name} | {value} |" for name, value in rows.items())
    shown = " ".join(f"`{sample}`" for sample in samples)
    return (
        "# An extended tokenizer\n\n"
        f"| fact | value |\n|---|---|\n{table}\n\n"
        f"{_promise(facts)}\n\n"
        "Measured on lines that were held out from learning; a donor's boundary is one between two "
        f"of its tokens inside a word.\n\nThe first new pieces: {shown}\n"
    )


def _promise(facts: ExtensionFacts) -> str:
    if not facts.scripts:
        return (
            "New merges are tried after all old ones, so a text changes only where one of them "
            "fits; how often that happens in text to be kept is in the table."
        )
    promise = (
        f"A text without a character of {', '.join(facts.scripts)} has the ids it had before: "
        "every new piece holds or begins one."
    )
    if facts.shared_characters:
        shown = "".join(facts.shared_characters[:_MAX_SHOWN])
        more = ", …" if len(facts.shared_characters) > _MAX_SHOWN else ""
        promise += (
            f" Excepted are {len(facts.shared_characters)} characters whose first bytes are the "
            f"same as those of the script: {shown}{more}"
        )
    return promise
