"""Home-assistant utterances: clean text, true annotations, templates on one side only."""

from __future__ import annotations

import json
import re
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from hunmin.core.artifact import Artifact
from hunmin.core.errors import InputError, MissingExtraError
from hunmin.corpus.build import build_corpus
from hunmin.corpus.documents import SPLITS, read_documents
from hunmin.corpus.sources.home.sampler import UtteranceSampler
from hunmin.corpus.sources.home.source import draw_language
from hunmin.corpus.sources.home.templates import Template, TemplateSet, available_languages
from hunmin.corpus.sources.home.values import number_in_words, texts_for
from hunmin.corpus.sources.spec import HomeAssistantSource
from hunmin.corpus.spec import CorpusSpec
from hunmin.text.annotations import annotate
from hunmin.text.unicode import normalize

LANGUAGES = ("ko", "en", "ja", "sw")


def massive(artifact: Artifact, language: str) -> list[dict[str, str]]:
    lines = (artifact.path / "massive" / f"{language}.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def strip_annotation(text: str) -> str:
    return re.sub(r"\[[\w]+ : ([^\]]*)\]", r"\1", text)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    source = HomeAssistantSource(languages=LANGUAGES, utterances_per_template=4)
    spec = CorpusSpec(sources=(source,), validation_fraction=0.1, test_fraction=0.1)
    return build_corpus(spec, tmp_path_factory.mktemp("home") / "out")


def test_all_languages_of_the_package_are_there() -> None:
    assert len(available_languages()) >= 60
    assert {"ko", "en", "sr-Latn", "zh-TW"} <= set(available_languages())


def test_massive_records_are_whole(artifact: Artifact) -> None:
    assert sorted(path.stem for path in (artifact.path / "massive").iterdir()) == sorted(LANGUAGES)
    rows = [row for language in LANGUAGES for row in massive(artifact, language)]
    assert len(rows) == artifact.facts["total"]["documents"] > 2000
    fields = {"id", "locale", "partition", "scenario", "intent", "utt", "annot_utt"}
    assert all(set(row) == fields for row in rows)
    assert {row["partition"] for row in rows} == {"train", "dev", "test"}
    assert len({row["id"] for row in rows}) == len(rows)


def test_annotation_without_its_marks_is_the_utterance(artifact: Artifact) -> None:
    rows = [row for language in LANGUAGES for row in massive(artifact, language)]
    assert all(strip_annotation(row["annot_utt"]) == row["utt"] for row in rows)
    annotated = [row for row in rows if row["annot_utt"] != row["utt"]]
    assert len(annotated) > len(rows) / 2


def test_utterances_are_clean_text(artifact: Artifact) -> None:
    for language in LANGUAGES:
        for row in massive(artifact, language):
            text = row["utt"]
            assert not set(text) & set("[]{}<>|()\\"), text
            assert "  " not in text
            assert " ," not in text
            assert normalize(text) == text


def test_no_template_is_on_both_sides(artifact: Artifact) -> None:
    sides: dict[str, set[str]] = defaultdict(set)
    texts: list[str] = []
    for split in SPLITS:
        for batch in read_documents(artifact, split):
            texts += batch["text"].to_pylist()
            for group in batch["group"].to_pylist():
                sides[group].add(split)
    assert all(len(split) == 1 for split in sides.values())
    assert len(set(texts)) == len(texts)
    for language in LANGUAGES:
        assert artifact.facts["languages"][language]["validation_documents"] > 0


def test_fixed_slots_are_told_but_not_marked(artifact: Artifact) -> None:
    metas = [
        json.loads(meta)
        for batch in read_documents(artifact, "train", ["meta"])
        for meta in batch["meta"].to_pylist()
    ]
    fixed = [meta for meta in metas if meta["fixed_slots"]]
    assert fixed
    assert all("domain" not in {slot["slot"] for slot in meta["slots"]} for meta in fixed)


def draw(language: str, **options: Any) -> list[str]:
    source = HomeAssistantSource(languages=(language,), **options)
    return [record.text for record in draw_language(language, source)]


def test_drawing_is_repeatable_and_the_seed_matters() -> None:
    first = draw("ko", max_utterances_per_language=300)
    assert first == draw("ko", max_utterances_per_language=300)
    assert len(set(first)) == 300
    assert set(first) != set(draw("ko", max_utterances_per_language=300, seed=1))


def test_a_smaller_limit_is_the_start_of_a_larger_one() -> None:
    many = draw("ko", max_utterances_per_language=250)
    assert draw("ko", max_utterances_per_language=100) == many[:100]


def test_few_utterances_still_cover_many_intents() -> None:
    source = HomeAssistantSource(languages=("en",), max_utterances_per_language=200)
    intents = {json.loads(record.meta)["intent"] for record in draw_language("en", source)}
    assert len(intents) > 20


@pytest.mark.slow
def test_every_language_gives_utterances() -> None:
    for language in available_languages():
        assert len(draw(language, max_utterances_per_language=50)) == 50, language


def sample(
    sentence: str, language: str = "en", lists: dict[str, Any] | None = None, **fields: Any
) -> set[str]:
    """Draw often from one template and return the annotated utterances."""
    import random

    from hassil.intents import Intents
    from hassil.parse_expression import parse_sentence

    parsed = Intents.from_dict({"language": language, "intents": {}, "lists": lists or {}})
    template = Template(
        intent="Test",
        scenario="test",
        sentence=sentence,
        expression=parse_sentence(sentence).expression,
        domains=fields.get("domains", ()),
        fixed_slots={},
        combination="default",
    )
    sampler = UtteranceSampler(TemplateSet(language, (template,), {}, parsed.slot_lists))
    drawn = (sampler.draw(template, random.Random(seed)) for seed in range(60))
    return {
        annotate(u.text, [(s.name, s.start, s.end) for s in u.slots])
        for u in drawn
        if u is not None
    }


def test_spaces_around_optional_words() -> None:
    assert sample("turn [the] light[s] on") == {
        "turn light on", "turn lights on", "turn the light on", "turn the lights on",
    }  # fmt: skip


def test_permutations_are_spoken_in_every_order() -> None:
    assert sample("(now;please) stop") == {"now please stop", "please now stop"}


def test_closed_lists_carry_their_meaning() -> None:
    lists = {"color": {"values": [{"in": "(red|crimson)", "out": "red"}]}}
    assert sample("make it {color:hue} now", lists=lists) == {
        "make it [hue : red] now", "make it [hue : crimson] now",
    }  # fmt: skip


def test_ranges_are_digits_or_words() -> None:
    lists = {"n": {"range": {"from": 20, "to": 22}}}
    drawn = sample("set {n}%", lists=lists)
    assert "set [n : 20]%" in drawn
    assert "set [n : twenty]%" in drawn
    assert drawn <= {
        f"set [n : {n}]%" for n in ("20", "21", "22", "twenty", "twenty-one", "twenty-two")
    }


def test_word_that_repeats_the_slot_is_dropped() -> None:
    assert all("floor floor" not in text for text in sample("lights on the {floor} floor"))
    assert all("lamp lamp" not in text for text in sample("dim {name} lamp[s]", domains=("light",)))


def test_korean_particles_fit_the_name_before_them() -> None:
    drawn = sample("{area}을 밝게", language="ko")
    assert "[area : 거실]을 밝게" in drawn
    assert "[area : 차고]를 밝게" in drawn


def test_slot_without_a_value_gives_no_utterance() -> None:
    assert sample("go to {planet}") == set()


def test_korean_hours_are_counted_with_native_numerals() -> None:
    assert number_in_words(3, "timer_hours", "ko") == "세"
    assert number_in_words(3, "timer_minutes", "ko") == "삼"
    assert number_in_words(3, "timer_hours", "kw") is None


def test_values_fall_back_to_the_base_language() -> None:
    assert texts_for("de-CH", "area") == texts_for("de", "area")
    assert texts_for("pt-BR", "message") == texts_for("pt", "message")
    assert texts_for("xx", "area") == ()


@pytest.mark.parametrize("module", ["hassil", "home_assistant_intents"])
def test_missing_package_names_its_install_command(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    available_languages.cache_clear()
    with pytest.raises(MissingExtraError, match=r"pip install .*\[samples\]"):
        build_corpus(CorpusSpec(sources=(HomeAssistantSource(),)), Path("unused"))


def test_unknown_language_is_refused_with_what_there_is() -> None:
    with pytest.raises(InputError) as error:
        build_corpus(
            CorpusSpec(sources=(HomeAssistantSource(languages=("sr-Latn-RS",)),)), Path("unused")
        )
    assert "no sentences in this language" in str(error.value)
    assert "Did you mean 'sr-Latn'" in str(error.value)
    assert "ko" in str(error.value)
