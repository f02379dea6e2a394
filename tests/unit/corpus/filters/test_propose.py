"""Proposed thresholds: what is trusted passes, what is not does not; files can be read back."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from hunmin.core.errors import InputError
from hunmin.corpus.filters.profiles import read_profile
from hunmin.corpus.filters.propose import Proposal, propose, put_together, rejections
from hunmin.text.unicode import normalize


def news(folder: Path, code: str) -> list[str]:
    path = folder / "ntrex128" / f"newstest2019-ref.{code}.txt.zst"
    with zstandard.open(path, "rt", encoding="utf-8") as file:
        return [normalize(line) for line in io.StringIO(file.read())]


def noise(sentences: list[str], seed: int = 0) -> Iterator[str]:
    """Keyboard mash, lines of numbers and repeated sentences."""
    generator = random.Random(seed)
    for sentence in sentences:
        yield " ".join("".join(generator.choices("xqzjwk;", k=7)) for _ in range(220))
        yield " ".join(f"{generator.random() * 1000:.2f}" for _ in range(60))
        yield "\n".join([sentence] * 30)


@pytest.fixture(scope="module")
def xhosa(shared_data: Path) -> tuple[list[str], Proposal]:
    sentences = news(shared_data, "xho")
    return sentences, propose("xh", sentences[:900], list(noise(sentences[:10])))


def test_trusted_text_passes_and_noise_does_not(xhosa: tuple[list[str], Proposal]) -> None:
    sentences, proposal = xhosa
    assert proposal.trusted_rejected < 0.01
    assert proposal.suspect_rejected is not None
    assert proposal.suspect_rejected > 0.95
    assert proposal.suspect_rejected == pytest.approx(sum(proposal.suspect_reasons.values()))
    held_out = put_together(sentences[900:], 120)
    assert sum(rejections(proposal.profile, held_out).values()) < 0.03


def test_lines_are_proposed_from_documents_only(xhosa: tuple[list[str], Proposal]) -> None:
    sentences, proposal = xhosa
    assert "punctuated_lines" not in proposal.profile.rules
    assert "characters" not in proposal.profile.rules
    documents = ["\n".join(sentences[i : i + 10]) for i in range(0, 900, 10)]
    whole = propose("xh", documents, whole_documents=True)
    assert whole.profile.rules["punctuated_lines"].min is not None
    assert dict(whole.documents) == {0: 90}


def test_limits_are_no_stricter_than_half_way(xhosa: tuple[list[str], Proposal]) -> None:
    rules = xhosa[1].profile.rules
    assert rules["brace_share"].max == pytest.approx(0.01)
    assert rules["main_script_share"].min == pytest.approx(0.75)
    assert all(rule.from_words == 50 for name, rule in rules.items() if name != "stop_words")


def test_file_can_be_read_back(xhosa: tuple[list[str], Proposal], tmp_path: Path) -> None:
    proposal = xhosa[1]
    proposal.save(tmp_path / "xh.yaml")
    assert read_profile(tmp_path / "xh.yaml") == proposal.profile
    assert "ukuba" in proposal.profile.stop_words


def test_scripts_without_spaces(shared_data: Path) -> None:
    proposal = propose("km", news(shared_data, "khm")[:400])
    assert proposal.profile.stop_words == ()
    assert "mean_word_length" not in proposal.profile.rules
    assert proposal.suspect_rejected is None


def test_too_little_text() -> None:
    with pytest.raises(InputError, match="too little trusted text"):
        propose("xh", ["Umhlaba wethu."] * 9)
    with pytest.raises(InputError, match="too little trusted text"):
        propose("xh", [], whole_documents=True)
