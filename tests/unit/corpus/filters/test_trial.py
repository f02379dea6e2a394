"""Thresholds on trial: documents and pieces, what each rule drops, the file that comes of it."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pytest
import zstandard

from hunmin.core.errors import EmptyCorpusError, InputError
from hunmin.corpus.filters.profiles import read_profile, shipped_profiles
from hunmin.corpus.filters.proposals import ProposalOptions, propose_of_documents
from hunmin.corpus.filters.rules import QualityFilter
from hunmin.corpus.filters.spec import FilterSpec
from hunmin.corpus.filters.trial import Trial, facts_of, of_language, try_thresholds
from hunmin.corpus.filters.trial_text import (
    check_thresholds_path,
    terminal_lines,
    write_thresholds,
)
from hunmin.corpus.sources.named import NamedText
from hunmin.text.unicode import normalize


def lines_of(folder: Path, name: str) -> list[str]:
    with zstandard.open(folder / "ntrex128" / name, "rt", encoding="utf-8") as file:
        return [normalize(line) for line in io.StringIO(file.read())]


def news(folder: Path, code: str) -> list[str]:
    """The articles of NTREX: their sentences, a line each."""
    names = lines_of(folder, "DOCUMENT_IDS.tsv.zst")
    articles: dict[str, list[str]] = {}
    for name, line in zip(
        names, lines_of(folder, f"newstest2019-ref.{code}.txt.zst"), strict=False
    ):
        articles.setdefault(name, []).append(line.strip())
    return ["\n".join(article) for article in articles.values()]


def named(texts: list[str], source: str, language: str = "und") -> list[NamedText]:
    return [NamedText(text, source, language) for text in texts]


@pytest.fixture(scope="module")
def german(shared_data: Path) -> list[NamedText]:
    sentences = lines_of(shared_data, "newstest2019-ref.deu.txt.zst")[:600]
    return named([sentence.strip() for sentence in sentences], "german")


@pytest.fixture(scope="module")
def swahili(shared_data: Path, german: list[NamedText]) -> Trial:
    return try_thresholds("sw", named(news(shared_data, "swa"), "news", "sw"), german)


def test_documents_pass_and_short_texts_of_another_language_do_not(swahili: Trial) -> None:
    assert swahili.facts["trusted"].kind == "documents"
    assert swahili.facts["german"].kind == "pieces"
    assert swahili.documents["trusted"] == 123
    assert swahili.dropped["trusted"] < 0.01
    assert swahili.held_out is not None
    assert swahili.held_out < 0.05
    # Stop words counted in documents of 300 words alone would let 95 % of this pass.
    assert swahili.dropped["german"] > 0.95


def test_documents_tell_of_lines_and_their_sentences_of_short_texts(
    swahili: Trial, shared_data: Path
) -> None:
    rules = swahili.proposal.profile.rules
    assert rules["punctuated_lines"].min is not None
    assert rules["stop_words"].from_words == 50
    assert rules["digit_share"].from_words == 50
    texts = news(shared_data, "swa")
    short = " ".join(texts[0].split()[:60])
    judge = QualityFilter(FilterSpec(profiles=(swahili.proposal.profile,)))
    batch = pa.record_batch({"text": [short], "language": ["sw"]})
    assert judge.reasons(judge.statistics(batch), ["sw"]) == [None]


def test_what_the_package_knows_is_kept(swahili: Trial) -> None:
    known = shipped_profiles()["sw"]
    profile = swahili.proposal.profile
    assert profile.stop_words == known.stop_words
    assert profile.boilerplate == known.boilerplate
    assert known.rules.keys() <= profile.rules.keys()


def test_each_rule_is_tried_by_itself(swahili: Trial) -> None:
    by_name = {rule.statistic: rule for rule in swahili.rules}
    assert by_name["stop_words"].is_proposed
    assert not by_name["words"].is_proposed
    assert by_name["stop_words"].dropped["german"] > 0.9
    most = max(rule.dropped["german"] for rule in swahili.rules)
    assert most <= swahili.dropped["german"] <= sum(r.dropped["german"] for r in swahili.rules)


def test_file_is_read_by_a_recipe(swahili: Trial, tmp_path: Path) -> None:
    path = tmp_path / "thresholds-sw.yaml"
    check_thresholds_path(path)
    write_thresholds(swahili, path, origin="Thresholds for Swahili, proposed from news")
    assert read_profile(path) == swahili.proposal.profile
    assert path.read_text("utf-8").startswith("# Thresholds for Swahili, proposed from news\n")
    check_thresholds_path(path)
    judge = QualityFilter(FilterSpec(files=(str(path),)))
    written = swahili.proposal.profile.rules["digit_share"].max
    assert {rule.statistic: rule.threshold.max for rule in judge.rules_of("sw")}[
        "digit_share"
    ] == written


def test_table(swahili: Trial) -> None:
    printed = "\n".join(terminal_lines(swahili))
    assert "123 texts" in printed
    assert "drops of german" in printed
    assert "stop_words *" in printed
    assert "of the last fifth" in printed
    assert "123 trusted documents are few" in printed


def test_pieces_of_a_new_language(shared_data: Path) -> None:
    sentences = lines_of(shared_data, "newstest2019-ref.xho.txt.zst")[:800]
    trial = try_thresholds("xh", named([s.strip() for s in sentences], "news", "xh"))
    assert trial.facts["trusted"].kind == "pieces"
    assert "punctuated_lines" not in trial.proposal.profile.rules
    assert "ukuba" in trial.proposal.profile.stop_words
    assert any("put together" in note for note in trial.notes)
    assert any("commonest words" in note for note in trial.notes)


def test_outer_limit_of_documents_and_sentences(shared_data: Path) -> None:
    texts = news(shared_data, "aze-Latn")
    options = ProposalOptions()
    both = propose_of_documents("az-Latn", texts, options).profile.rules
    joined = [" ".join(text.split()) for text in texts]
    assert both["letter_share"].min is not None
    assert propose_of_documents("az-Latn", joined, options).profile.rules["letter_share"].min == (
        pytest.approx(both["letter_share"].min, abs=0.01)
    )


def test_too_little_text(swahili: Trial) -> None:
    whole = [NamedText("Habari ya leo.\n" * 500, "news", "sw")]
    with pytest.raises(InputError, match="add --unit line"):
        try_thresholds("sw", whole)
    with pytest.raises(InputError, match="too little trusted text"):
        try_thresholds("sw", named(["Habari ya leo ni njema."] * 30, "news", "sw"))
    with pytest.raises(EmptyCorpusError, match="no text to measure"):
        facts_of([])


def test_limits_must_make_sense() -> None:
    for quantile, margin in ((0.7, 0.2), (-0.1, 0.2), (0.01, -1.0)):
        with pytest.raises(InputError, match="makes no sense"):
            try_thresholds("sw", named(["a"], "x"), quantile=quantile, margin=margin)


def test_texts_of_a_language() -> None:
    texts = [*named(["a"], "x", "az-Latn"), *named(["b"], "x", "en")]
    assert [text.text for text in of_language(texts, "az")] == ["a"]
    with pytest.raises(EmptyCorpusError, match=r"no text in Swahili[\s\S]*az-Latn, en"):
        of_language(texts, "sw")


def test_nothing_else_is_replaced(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("# mine\nname: mine\ncorpus: {}\n", encoding="utf-8")
    for path in (recipe, tmp_path, tmp_path / "x.txt"):
        with pytest.raises(InputError):
            check_thresholds_path(path)
    assert recipe.read_text("utf-8").startswith("# mine")
