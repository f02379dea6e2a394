"""Rules: the first that fails gives the reason; thresholds come from three levels."""

from __future__ import annotations

import json
import logging
import pickle
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.support.texts import SENTENCES

from hunmin.core.errors import InputError, RecipeError
from hunmin.corpus.filters.profiles import (
    Threshold,
    lexicon_of,
    nearest_profile,
    parse_profile,
    read_profile,
    shipped_profiles,
    warn_of_defaults,
    written_scripts,
)
from hunmin.corpus.filters.rules import QualityFilter
from hunmin.corpus.filters.spec import FilterSpec
from hunmin.corpus.filters.statistics import STATISTICS
from hunmin.corpus.records import RECORD_SCHEMA, Record, batched

CALIBRATED = ("ko", "ja", "tr", "sw", "th", "hi", "en", "de", "zh", "ar")
GOOD = (
    "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다. 인간은 천부적으로 이성과 "
    "양심을 부여받았으며 서로 형제애의 정신으로 행동하여야 한다."
)


def batch_of(texts: list[str], language: str = "ko", **changes: Any) -> pa.RecordBatch:
    records = [
        Record(None, text, language, "test", "CC0-1.0", None, "{}")._replace(**changes)
        for text in texts
    ]
    return next(iter(batched(records)), pa.RecordBatch.from_pylist([], schema=RECORD_SCHEMA))


def reasons(texts: list[str], language: str = "ko", spec: FilterSpec | None = None) -> list[Any]:
    return list(QualityFilter(spec)(batch_of(texts, language))["reason"].to_pylist())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (GOOD, None),
        ("짧다", "too few words"),
        (GOOD.encode().decode("latin-1"), "broken encoding"),
        (SENTENCES["en"][0] * 3, "wrong script"),
        ("ㅋㅋㅋ ㅠㅠ 가나 다라 마바 " * 9, "loose jamo"),
        ("가나다 12345 67 890 1234 " * 9, "too few letters"),
        ("자바스크립트 이야기 {} {} " * 9, "program code"),
        (GOOD + "\nLorem ipsum dolor sit amet", "placeholder text"),
        ((GOOD + "\n") * 9, "too few different words"),
        (" ".join("가나다라마바사아자차카타"[i % 12 :] for i in range(60)), "one phrase repeated"),
    ],
)
def test_reasons(text: str, reason: str | None) -> None:
    assert reasons([text]) == [reason]


def test_a_reason_stays_and_all_else_too() -> None:
    batch = batch_of(["짧다", GOOD], reason="duplicate")
    result = QualityFilter()(batch)
    assert result.equals(batch)
    assert result.schema == RECORD_SCHEMA


def test_empty_batch_and_kept_statistics() -> None:
    judge = QualityFilter(FilterSpec(keep_statistics=True))
    assert judge(batch_of([])).num_rows == 0
    result = judge(batch_of([GOOD]))
    assert result.schema.names == [*RECORD_SCHEMA.names, *STATISTICS]
    assert result["words"].to_pylist() == [20]


def test_title_of_the_metadata() -> None:
    text = "\n".join(["첫 줄이다.", *["제목이다"] * 3, "끝 줄이다."])
    batch = batch_of([text], meta=json.dumps({"title": "제목이다"}))
    assert QualityFilter().statistics(batch)["title_lines"].to_pylist() == [0.6]


def test_order_and_size_of_batches_do_not_matter() -> None:
    texts = [*(sentence for group in SENTENCES.values() for sentence in group), GOOD, "", "x" * 99]
    judge = QualityFilter()
    whole = judge(batch_of(texts))["reason"].to_pylist()
    assert [judge(batch_of([text]))["reason"].to_pylist()[0] for text in texts] == whole
    assert judge(batch_of(texts[::-1]))["reason"].to_pylist() == whole[::-1]


def test_a_pickled_filter_judges_the_same() -> None:
    spec = FilterSpec(thresholds={"ko": {"words": Threshold(min=100, too_low="not enough")}})
    judge = pickle.loads(pickle.dumps(QualityFilter(spec)))
    assert judge(batch_of([GOOD]))["reason"].to_pylist() == ["not enough"]


def test_levels_of_thresholds() -> None:
    general = {"und": {"words": Threshold(min=5)}}
    assert reasons(["하나 둘은 셋이 넷째 다섯 여섯"], spec=FilterSpec(thresholds=general)) == [None]
    special = general | {"ko": {"words": Threshold(min=50)}}
    assert reasons([GOOD], spec=FilterSpec(thresholds=special)) == ["too few words"]
    assert reasons([GOOD], "ko-KP", FilterSpec(thresholds=special)) == ["too few words"]
    lexicon = {"ko": {"stop_word_share": Threshold(min=0.9)}}
    assert reasons([GOOD], spec=FilterSpec(thresholds=lexicon)) == ["stop word share too low"]


def test_chosen_rules() -> None:
    assert reasons(["짧다"], spec=FilterSpec(without=("words",))) == [None]
    assert reasons(["짧다"], spec=FilterSpec(rules=("letter_share",))) == [None]
    with pytest.raises(RecipeError, match="Did you mean 'letter_share'"):
        QualityFilter(FilterSpec(rules=("leter_share",)))
    with pytest.raises(RecipeError, match=r"filters\.thresholds\.ko"):
        QualityFilter(FilterSpec(thresholds={"ko": {"wrods": Threshold(min=1)}}))


def test_profanity_is_the_users() -> None:
    spec = FilterSpec(profanity={"ko": ("자유로우며", "동등하다")})
    assert reasons([GOOD]) == [None]
    assert reasons([GOOD], spec=spec) == ["profanity"]


def test_profiles_of_the_package() -> None:
    profiles = shipped_profiles()
    assert set(CALIBRATED) < set(profiles)
    for profile in profiles.values():
        for name, rule in profile.rules.items():
            assert rule.origin, (profile.language, name)
        if profile.language != "und":
            assert profile.stop_words_origin
            assert profile.scripts
    for name, rule in profiles["und"].rules.items():
        assert rule.min is None or rule.too_low, name
        assert rule.max is None or rule.too_high, name


def test_nearest_profile_and_scripts() -> None:
    profiles = shipped_profiles()
    found = nearest_profile("zh-Hant-TW", profiles)
    assert found is not None
    assert found.language == "zh"
    assert nearest_profile("xh", profiles) is None
    assert written_scripts("xh") == ("Latn",)
    assert lexicon_of("sr-Latn", None).scripts == ("Latn",)
    assert lexicon_of("qqq", None).scripts == ()


def test_a_language_without_thresholds_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    warn_of_defaults.cache_clear()
    with caplog.at_level(logging.WARNING):
        reasons([SENTENCES["en"][0]], "xh")
        reasons([SENTENCES["en"][0]], "xh")
    assert [record.getMessage()[:25] for record in caplog.records] == ["xh has no thresholds of i"]


def test_files_of_thresholds(tmp_path: Path) -> None:
    path = tmp_path / "xh.yaml"
    path.write_text("language: xh\nrules: {words: {min: 99, too_low: tiny}}\n", "utf-8")
    spec = FilterSpec(files=(str(path),))
    assert reasons([SENTENCES["en"][0]], "xh", spec) == ["tiny"]
    with pytest.raises(InputError, match="no such file"):
        read_profile(tmp_path / "absent.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("language: ko\nrules: {words: {low: 1}}", "x.yaml:2"),
        ("language: ko\nrules: {wods: {min: 1}}", "Did you mean 'words'"),
        ("language: ko\nboilerplate: [abc]", "too short to look for"),
        ("language: zz\n", "not a language tag"),
    ],
)
def test_errors_of_files(text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        parse_profile(text, "x.yaml")
