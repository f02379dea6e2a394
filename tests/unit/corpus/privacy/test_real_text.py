"""Real text: petitions and reviews."""

from __future__ import annotations

import io
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from hunmin.corpus.privacy import PRIVACY_TOKENS, TextMasker

_MOBILE = re.compile(r"(?<![\d-])010[- .]\d{4}[- .]\d{4}(?![\d-])")
_MAIL = re.compile(r"[a-z0-9]{3,}@(?:naver|daum|hanmail|nate)\.(?:com|net)")
_TOKEN = re.compile("|".join(map(re.escape, PRIVACY_TOKENS)))


def texts_of(path: Path, field: str, number: int) -> Iterator[str]:
    with path.open("rb") as file:
        lines = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), "utf-8")
        for line in itertools.islice(lines, number):
            yield json.loads(line)[field]


@pytest.mark.parametrize(
    ("name", "field", "number", "at_least"),
    [
        ("ko_petitions/petitions_2017-08.jsonl.zst", "content", 700, 20),
        ("nsmc/reviews.jsonl.zst", "document", 30_000, 1),
    ],
)
def test_plain_numbers_and_addresses_are_gone(
    name: str, field: str, number: int, at_least: int, shared_data: Path, masker: TextMasker
) -> None:
    seen = 0
    for text in texts_of(shared_data / name, field, number):
        masked, counts = masker.mask(text, "ko")
        seen += sum(counts.values())
        assert not _MOBILE.search(masked)
        assert not _MAIL.search(masked)
        if not counts:
            assert masked is text
            continue
        pieces = _TOKEN.split(masked)
        assert re.match(".*?".join(map(re.escape, pieces)) + "$", text, re.DOTALL)
    assert seen >= at_least


def test_prose_about_numbers_is_left_alone(shared_data: Path, masker: TextMasker) -> None:
    path = shared_data / "ko_docs" / "gimp_help_ko.jsonl.zst"
    masked = [masker.mask(text, "ko")[1] for text in texts_of(path, "text", 1000)]
    assert sum(sum(counts.values()) for counts in masked) <= 3


def test_numbers_that_others_labelled_are_found(shared_data: Path, masker: TextMasker) -> None:
    """Slots for telephones in dialogues: labels that nobody made for this package."""
    labelled = found = extra = 0
    with (shared_data / "sgd" / "train_sample.jsonl.zst").open("rb") as file:
        lines = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), "utf-8")
        dialogues = map(json.loads, itertools.islice(lines, 1000))
        for turn in itertools.chain.from_iterable(d.get("turns", ()) for d in dialogues):
            slots = [
                (slot["start"], slot["exclusive_end"])
                for frame in turn["frames"]
                for slot in frame["slots"]
                if "phone" in slot["slot"] and "exclusive_end" in slot
            ]
            spans = masker.find(turn["utterance"], "en")
            labelled += len(slots)
            found += sum(any(s.start <= a and b <= s.end for s in spans) for a, b in slots)
            extra += sum(not any(s.start < b and a < s.end for a, b in slots) for s in spans)
    assert labelled > 50
    assert found >= 0.95 * labelled
    assert extra <= 0.02 * labelled
