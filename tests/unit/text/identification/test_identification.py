"""Languages of texts: scripts, classifiers, thresholds and the kernel."""

from __future__ import annotations

import pickle
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from hunmin.core.errors import InputError, MissingExtraError, MissingInputError
from hunmin.text.identification.classifier import Guess
from hunmin.text.identification.excerpt import excerpt, is_plain
from hunmin.text.identification.identifier import Identifier
from hunmin.text.identification.kernel import (
    NO_LANGUAGE,
    OTHER_LANGUAGE,
    IdentifyLanguages,
    differs,
)
from hunmin.text.identification.labels import tag_of_label
from hunmin.text.identification.naive_bayes import Py3LangId
from hunmin.text.identification.prior import candidates, main_scripts, script_rules
from hunmin.text.identification.registry import load_classifier
from hunmin.text.identification.thresholds import Thresholds, load_thresholds
from hunmin.text.scripts import SCRIPTS, count_letters, count_scripts

TEXTS = {
    "ko": "오늘은 날씨가 참 좋아서 공원에 산책을 다녀왔습니다.",
    "ja": "今日は天気がよかったので、公園へ散歩に行きました。",
    "zh": "今天天气很好，我去公园散步了，还见到了几个老朋友。",
    "th": "วันนี้อากาศดีมากเลยไปเดินเล่นที่สวนสาธารณะ",
    "hi": "आज मौसम बहुत अच्छा था इसलिए मैं पार्क में टहलने गया।",
    "ru": "Сегодня была хорошая погода, и я пошёл гулять в парк.",
    "en": "The weather was very nice today, so I went for a walk in the park.",
    "tr": "Bugün hava çok güzeldi, bu yüzden parkta yürüyüşe çıktım.",
    "sw": "Leo hali ya hewa ilikuwa nzuri sana, kwa hivyo nilienda kutembea bustanini.",
    "de": "Das Wetter war heute sehr schön, deshalb bin ich im Park spazieren gegangen.",
    "el": "Σήμερα ο καιρός ήταν πολύ καλός και πήγα βόλτα στο πάρκο.",
    "fa": "امروز هوا خیلی خوب بود و برای قدم زدن به پارک رفتم.",
}
CODE = "using System;\nvar x = foo.Bar(baz_qux);\nreturn SomeType.Value;\n"


@dataclass(frozen=True)
class Fixed:
    """A classifier that always says the same."""

    guess: Guess = field(default_factory=lambda: Guess("en", 0.7))
    name: str = "fixed"
    languages: frozenset[str] = frozenset({"en", "fr", "dz", "am"})

    def classify(
        self, excerpts: Sequence[str], candidates: Sequence[frozenset[str]]
    ) -> list[Guess]:
        return [self.guess] * len(excerpts)


# --- letters and scripts ---


def test_letters_agree_with_the_table_of_scripts() -> None:
    texts = [*TEXTS.values(), "", "123 !?", "ㅋㅋ ᄒᆞᆫ 가"]
    for text, row in zip(texts, count_letters(texts), strict=True):
        counted = {s: n for s, n in zip(SCRIPTS, row.tolist(), strict=True) if n}
        assert counted == count_scripts([text])
    assert count_letters([]).shape == (0, len(SCRIPTS))
    assert count_letters(["\ud800a"]).sum() == 1


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("한국어", "Hang"),
        ("한글 " + "abcdef " * 1, "Hang"),
        ("한" + "abcdefghij" * 2, "Latn"),
        ("大韓民國의 憲法은 第一條이다", "Hang"),
        ("東京へ行く", "Jpan"),
        ("東京", "Hani"),
        ("カタカナ", "Jpan"),
        ("北京の大學生中國中國中國", "Hani"),
        ("สวัสดี hello", "Thai"),
        ("123", "Zyyy"),
        ("", "Zyyy"),
    ],
)
def test_main_script(text: str, script: str) -> None:
    assert main_scripts(count_letters([text]), script_rules())[0] == [script]


def test_candidates_are_what_the_script_leaves() -> None:
    known = frozenset({"en", "ru", "sr", "zh-Hant", "ko", "sr-Latn", "uz-Cyrl"})
    assert candidates("Latn", known) == {"en", "sr", "sr-Latn"}
    assert candidates("Cyrl", known) == {"ru", "sr", "uz-Cyrl"}
    assert candidates("Hani", known) == {"zh-Hant"}


# --- excerpts ---


def test_code_addresses_and_digits_are_left_out() -> None:
    text = "보기 https://a.example/b?c=d 메일 me@example.com `code()` <b class='x'>굵게</b> a_b 12"
    assert excerpt(text, 100).split() == ["보기", "메일", "굵게"]
    assert excerpt("```python\nprint()\n```\n글", 100).split() == ["글"]


def test_an_excerpt_is_short_and_reads_on_past_code() -> None:
    assert len(excerpt("가나다 " * 1000, 100)) == 100
    assert "한국어" in excerpt("https://a.example/b " * 8 + "한국어 문장", 50)
    assert excerpt("", 10) == ""


# --- identification ---


def test_sentences_in_twelve_languages() -> None:
    found = Identifier().identify(list(TEXTS.values()))
    assert found.languages == list(TEXTS)
    assert all(0 < score <= 1 for score in found.scores)


def test_scores_and_labels_are_those_of_the_package() -> None:
    package = pytest.importorskip("py3langid.langid")
    peer = package.LanguageIdentifier.from_model_file(package.MODEL_FILE, norm_probs=True)
    ours = Py3LangId()
    texts = [*TEXTS.values(), "ABSOLUTELY ALL CAPITALS"]
    for text, guess in zip(texts, ours.classify(texts, [ours.languages] * len(texts)), strict=True):
        label, score = peer.classify(text)
        assert guess.language == tag_of_label(label)
        assert guess.score == pytest.approx(score, abs=0.02)


def test_a_text_does_not_depend_on_those_beside_it() -> None:
    texts = [*TEXTS.values(), "", "ok", "1234", CODE]
    whole = Identifier().identify(texts)
    alone = [Identifier().identify([text]) for text in texts]
    assert whole.languages == [one.languages[0] for one in alone]
    assert whole.scores == [one.scores[0] for one in alone]
    backwards = Identifier().identify(texts[::-1])
    assert backwards.scores == whole.scores[::-1]
    assert Identifier().identify([]) == ([], [], [], [])


def test_code_with_comments_is_in_the_language_of_the_comments() -> None:
    mixed = (CODE + "// 이 함수는 값을 돌려줍니다. 오류가 나면 예외를 던집니다.\n") * 5
    assert Identifier().identify([mixed]).languages == ["ko"]


def test_short_texts_are_undetermined_unless_the_script_decides() -> None:
    found = Identifier().identify(["ok", "네 안녕", "สวัสดี", "그", "12:30", "かな"])
    assert found.languages == ["und", "ko", "th", "und", "und", "ja"]
    assert found.scripts[0] == "Latn"


def test_a_script_of_two_languages_is_half_decided_if_the_classifier_knows_one() -> None:
    texts = ["བོད་ཡིག་གི་སློབ་གྲྭ་ཆེན་མོ།", "አማርኛ የኢትዮጵያ ቋንቋ ነው።"]
    found = Identifier(Fixed()).identify(texts)
    assert found.languages == ["bo", "am"]
    assert found.scores == [0.5, 0.5]
    assert Identifier(Fixed(), Thresholds(0.6)).identify(texts).languages == ["und", "und"]


def test_below_the_threshold_of_its_language_a_text_is_undetermined() -> None:
    identifier = Identifier(Fixed(), Thresholds(0.5, {"en": 0.8}))
    found = identifier.identify([TEXTS["en"]])
    assert (found.languages, found.guesses, found.scores) == (["und"], ["en"], [0.7])


def test_an_identifier_can_be_pickled() -> None:
    for name in ("py3langid", "pycld2"):
        identifier = Identifier(load_classifier(name))
        identifier.identify([TEXTS["de"]])
        copy = pickle.loads(pickle.dumps(identifier))
        assert copy.identify([TEXTS["de"]]) == identifier.identify([TEXTS["de"]])


def test_numbers_must_be_positive() -> None:
    with pytest.raises(InputError, match="num_letters must be at least 1"):
        Identifier(Fixed(), num_letters=0)


def test_real_sentences(shared_data: Path) -> None:
    for code, tag in {"kor": "ko", "jpn": "ja", "swa": "sw", "tha": "th", "hin": "hi"}.items():
        (path,) = (shared_data / "ntrex128").glob(f"newstest2019-ref.{code}.*zst")
        text = zstandard.ZstdDecompressor().decompress(path.read_bytes(), 1 << 24).decode()
        languages = Identifier().identify(text.split("\n")[:60]).languages
        assert languages.count(tag) >= 57


# --- other classifiers ---


def test_pycld2() -> None:
    found = Identifier(load_classifier("pycld2")).identify(list(TEXTS.values()))
    assert found.languages == list(TEXTS)
    odd = Identifier(load_classifier("pycld2"), min_letters=1).identify(["\ud800 \ufffe abc\x07"])
    assert odd.scripts == ["Latn"]


def _fasttext_model(path: Path) -> Path:
    """Write the smallest model: three words, two labels, two dimensions, softmax."""
    words, labels = ["</s>", "bonjour", "hello"], ["__label__fra_Latn", "__label__eng_Latn"]
    out = struct.pack("<ii", 793_712_314, 12)
    # dim ws epoch minCount neg wordNgrams loss(softmax) model(supervised) bucket minn maxn lrUpdate
    out += struct.pack("<12id", 2, 5, 5, 1, 5, 1, 3, 3, 0, 0, 0, 100, 1e-4)
    out += struct.pack("<iiiqq", 5, 3, 2, 5, -1)
    for index, entry in enumerate([*words, *labels]):
        out += entry.encode() + b"\0" + struct.pack("<qb", 1, index // 3)
    for rows in ([[0, 0], [9, 0], [0, 9]], [[4, 0], [0, 4]]):
        out += struct.pack("<?qq", False, len(rows), 2) + np.array(rows, np.float32).tobytes()
    path.write_bytes(out)
    return path


def test_a_fasttext_model_of_the_user(tmp_path: Path) -> None:
    pytest.importorskip("fasttext")
    classifier = load_classifier("fasttext", path=_fasttext_model(tmp_path / "model.bin"))
    assert classifier.languages == {"en", "fr"}
    found = Identifier(classifier).identify(["hello hello hello", "bonjour bonjour", TEXTS["ko"]])
    assert found.languages == ["en", "fr", "ko"]
    assert found.scores[0] > 0.9
    copy = pickle.loads(pickle.dumps(classifier))
    assert copy.classify(["hello"], [frozenset({"fr"})])[0].language == "fr"


def test_what_is_no_fasttext_model(tmp_path: Path) -> None:
    pytest.importorskip("fasttext")
    with pytest.raises(MissingInputError, match="no language identification model"):
        load_classifier("fasttext", path=tmp_path / "none.bin")
    (tmp_path / "a.bin").write_bytes(b"PK\3\4 something")
    with pytest.raises(InputError, match="not a fastText model"):
        load_classifier("fasttext", path=tmp_path / "a.bin")


@pytest.mark.parametrize("name", ["py3langid", "pycld2", "fasttext"])
def test_a_missing_package_is_named(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match="pip install"):
        load_classifier(name, path=tmp_path if name == "fasttext" else None)


def test_names_of_classifiers_are_checked() -> None:
    with pytest.raises(InputError, match="Did you mean 'py3langid'"):
        load_classifier("py3langd")
    with pytest.raises(InputError, match="needs a model file"):
        load_classifier("fasttext")
    with pytest.raises(InputError, match="takes no model file"):
        load_classifier("pycld2", path=Path("x.bin"))


@pytest.mark.parametrize(
    ("label", "tag"),
    [
        ("__label__kor_Hang", "ko"),
        ("__label__cmn_Hani", "zh"),
        ("zh-Hant", "zh-Hant"),
        ("srp_Latn", "sr-Latn"),
        ("eng_Latn", "en"),
        ("arb_Arab", "ar"),
        ("swh_Latn", "sw"),
        ("iw", "he"),
        ("jw", "jv"),
        ("un", "und"),
        ("zxx", "und"),
        ("xx-Thai", "und"),
        ("__label__zxx_Zzzz", "und"),
        ("__label__als", "gsw"),
        ("als_Latn", "sq"),
    ],
)
def test_labels_become_canonical_tags(label: str, tag: str) -> None:
    assert tag_of_label(label) == tag


# --- thresholds ---


def test_thresholds_of_base_languages_hold_for_their_scripts() -> None:
    thresholds = Thresholds(0.4, {"sr": 0.6, "zh-Hant": 0.9})
    assert thresholds.of("sr-Latn") == 0.6
    assert (thresholds.of("zh"), thresholds.of("zh-Hant")) == (0.4, 0.9)
    assert thresholds.of("und") > 1
    assert thresholds.override({"kor": 0.1, "default": 0.2}).of("ko") == 0.1
    assert thresholds.override({"default": 0.2}).of("de") == 0.2


def test_thresholds_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_text("py3langid: {default: 0.1, sw: 0.9}\n")
    assert load_thresholds("py3langid", path).of("sw") == 0.9
    assert load_thresholds("pycld2", path).of("sw") == 0.5
    for content in ("- a\n", "py3langid: 3\n"):
        path.write_text(content)
        with pytest.raises(InputError, match="not a table of language thresholds"):
            load_thresholds("py3langid", path)
    path.write_text("py3langid: {sw: 3}\n")
    with pytest.raises(InputError, match="threshold of 'sw' is not a share"):
        load_thresholds("py3langid", path)
    with pytest.raises(MissingInputError, match="no file of language thresholds"):
        load_thresholds("py3langid", tmp_path / "none.yaml")


# --- kernel ---


def batch_of(rows: Sequence[tuple[str | None, str | None]]) -> pa.RecordBatch:
    texts, languages = [row[0] for row in rows], [row[1] for row in rows]
    return pa.RecordBatch.from_pydict(
        {"text": pa.array(texts, pa.string()), "language": pa.array(languages, pa.string())}
    )


ROWS = [
    (TEXTS["ko"], "ko"),
    (TEXTS["en"], "ko"),
    (TEXTS["ko"], "und"),
    (TEXTS["ko"], None),
    (TEXTS["en"], "sco"),
    (TEXTS["ko"], "sco"),
    ("12", "und"),
    (None, "und"),
]


def test_the_kernel_keeps_what_the_source_says_and_reports() -> None:
    rows = IdentifyLanguages(reject_unknown=True)(batch_of(ROWS)).to_pylist()
    assert [row["language"] for row in rows] == ["ko", "ko", "ko", "ko", "sco", "sco", "und", "und"]
    assert [row["identified"] for row in rows] == ["ko", "en", "ko", "ko", "en", "ko", "und", "und"]
    assert [row["reason"] for row in rows] == [
        None,
        OTHER_LANGUAGE,
        None,
        None,
        None,
        OTHER_LANGUAGE,
        NO_LANGUAGE,
        NO_LANGUAGE,
    ]
    assert rows[0]["script"] == "Hang"


def test_the_kernel_may_trust_the_text_and_stay_silent() -> None:
    kernel = IdentifyLanguages(trust="text", reject_other=False)
    rows = kernel(batch_of(ROWS)).to_pylist()
    assert [row["language"] for row in rows] == ["ko", "en", "ko", "ko", "en", "ko", "und", "und"]
    assert {row["reason"] for row in rows} == {None}


def test_the_kernel_on_batches_of_any_size() -> None:
    batch = batch_of(ROWS)
    kernel = pickle.loads(pickle.dumps(IdentifyLanguages()))
    parts = [kernel(batch.slice(i, 1)) for i in range(len(ROWS))] + [kernel(batch.slice(0, 0))]
    assert pa.Table.from_batches(parts).to_pylist() == kernel(batch).to_pylist()


def test_an_earlier_reason_stays() -> None:
    batch = batch_of([(TEXTS["en"], "ko")]).append_column("reason", pa.array(["empty"]))
    assert IdentifyLanguages()(batch)["reason"].to_pylist() == ["empty"]


def test_related_languages_and_unknown_ones_do_not_differ() -> None:
    known = frozenset({"hr", "sr", "en", "ko"})
    assert not differs("hr", "sr-Latn", "Latn", known)
    assert not differs("zh-Hant", "zh", "Hani", known)
    assert differs("ko", "en", "Latn", known)
    assert not differs("sco", "en", "Latn", known)
    assert differs("sco", "ko", "Hang", known)
    assert not differs("und", "en", "Latn", known)
    assert not differs("ko", "und", "Latn", known)


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="가나 힣あ漢é19._-@/:<>&;#\n", max_size=40))
def test_plain_texts_have_the_letters_of_their_excerpt(text: str) -> None:
    assert is_plain(text, 40)
    assert (count_letters([text]) == count_letters([excerpt(text, 40)])).all()


def test_texts_that_may_hide_letters_are_not_plain() -> None:
    assert not any(is_plain(text, 10) for text in ("가`나`", "가 a.b", "<b>가", "가" * 11))
