"""Ends of sentences: by rule in many languages, by pysbd and Kiwi."""

from __future__ import annotations

import pickle
import sys
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hunmin.core.errors import InputError, MissingExtraError
from hunmin.text.sentences.rules import RuleSplitter, sentence_rules
from hunmin.text.sentences.split import SplitSentences, load_splitter, split_sentences

# A bar stands where a sentence ends, after the white space.
MARKED = {
    "ko": [
        "오늘은 비가 온다. |우산을 챙겼다.",
        "값은 3.5만 원이다. |1.2배 올랐다.",
        '그는 "나는 간다." 라고 말했다. |그리고 떠났다.',
        "그는 “못 가요.”라고 했다. |끝.",
        "정말요? |네! |그래요…",
        "감사합니다 |다음에 또 올게요 ㅋㅋ",
        "주문했습니다 . |존슨은",
        "끝났다.그런데 |다시".replace(".그런데 |", ".|그런데 "),
        "김철수(당시 20세. 학생)는 왔다. |갔다.",
        "제1조\n|모든 국민은",
        "U.S. 정부는 밝혔다. |J. 스미스도.",
        "비가 오니까 우산을 챙겼어요. |가죠",
    ],
    "ja": [
        "雨が降る。|傘を持った。",
        "「はい。そうです。」と言った。|彼は帰った。",
        "本当？！|はい。",
        "彼は来た（昨日。夜）。|そして帰った。",
    ],
    "zh": ["你好。|他说：“我走了。”|然后走了！"],
    "en": [
        "Dr. Smith came at 3.15 p.m. today. |He left.",
        'He said "Why?" and left. |Then J. R. Tolkien wrote it.',
        "It cost $3.50. |“Really?” |Yes (i.e. No. 5). |Done",
        "Visit example.com today. |Now!",
    ],
    "de": [
        "Am 3. Oktober z.B. war frei. |„Das war es.“ |Er ging.",
        "Im Jahr 1990. |Danach nicht.",
    ],
    "tr": ["Prof. Dr. Yılmaz geldi. |2. sınıf başladı mı? |Evet."],
    "sw": ["Alikuja jana. |Je, ulimwona? |Ndiyo."],
    "hi": ["वह आया। |मि. शर्मा गए। |क्या हुआ? |हाँ।"],
    "ar": ["جاء أمس. |هل رأيته؟ |نعم."],
    "my": ["သူလာသည်။ |ပြန်သွားသည်။"],
    "am": ["እሱ መጣ። |ከዚያ ሄደ፡፡ |አዎ"],
    "ka": ["ის მოვიდა. |წავიდა."],
}
CASES = [(language, marked) for language, cases in MARKED.items() for marked in cases]


@pytest.mark.parametrize(("language", "marked"), CASES)
def test_sentences_end_where_a_reader_says(language: str, marked: str) -> None:
    assert split_sentences(marked.replace("|", ""), language) == marked.split("|")


def test_thai_is_cut_at_spaces_of_long_stretches_alone() -> None:
    short = "วันนี้อากาศดี ไปเดินเล่น"
    assert split_sentences(short, "th") == [short]
    clause = "วันนี้อากาศดีมากเลยไปเดินเล่นที่สวนสาธารณะกับเพื่อนสนิท "
    assert split_sentences(clause * 3, "th") == [clause] * 3
    assert split_sentences(clause * 3, "und") == [clause * 3]
    joined = clause.strip() + "และ ที่" + clause
    assert split_sentences(joined, "th") == [joined]


def _texts() -> st.SearchStrategy[str]:
    pieces = [marked.replace("|", "") for _, marked in CASES]
    mixed = st.lists(st.one_of(st.sampled_from(pieces), st.text(max_size=8)), max_size=5)
    return mixed.map("".join)


@given(_texts(), st.sampled_from([*MARKED, "th", "und"]))
@settings(max_examples=200, deadline=None)
def test_pieces_joined_are_the_text(text: str, language: str) -> None:
    (ends,) = RuleSplitter(language).ends([text])
    assert ends == sorted(set(ends))
    assert ends[-1:] == ([len(text)] if text else [])
    assert "".join(split_sentences(text, language)) == text
    assert all(not text[end].isspace() for end in ends[:-1])


def test_the_rules_of_a_language_are_those_of_its_base() -> None:
    assert sentence_rules("de-AT").ordinals
    assert "z.b" in sentence_rules("de").abbreviations
    assert "dr" in sentence_rules("xx").abbreviations


@pytest.mark.parametrize("language", ["en", "ja", "hi"])
def test_pysbd_gives_offsets_in_the_text(language: str) -> None:
    text = "".join(MARKED[language]).replace("|", "")
    (ends,) = load_splitter(language, "pysbd").ends([text])
    assert ends[-1] == len(text)
    assert len(ends) >= 3
    assert load_splitter(language, "pysbd").ends(["", " "]) == [[], [1]]
    assert "".join(text[a:b] for a, b in pairwise([0, *ends])) == text


def test_kiwi_finds_sentences_without_marks() -> None:
    splitter = pickle.loads(pickle.dumps(load_splitter("ko", "kiwi")))
    text = "오늘 비가 왔다 그래서 우산을 챙겼다 끝"
    (ends, none) = splitter.ends([text, ""])
    assert len(ends) >= 2
    assert ends[-1] == len(text)
    assert none == []


def test_names_and_languages_are_checked() -> None:
    with pytest.raises(InputError, match="Did you mean 'rules'"):
        load_splitter("ko", "rule")
    with pytest.raises(InputError, match="no rules for this language"):
        load_splitter("sw", "pysbd")
    with pytest.raises(InputError, match="is for Korean"):
        load_splitter("ja", "kiwi")


@pytest.mark.parametrize(("name", "module"), [("pysbd", "pysbd.languages"), ("kiwi", "kiwipiepy")])
def test_a_missing_package_is_named(
    name: str, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match="pip install"):
        load_splitter("ko" if name == "kiwi" else "en", name)


def test_the_kernel_splits_each_record_in_its_language() -> None:
    batch = pa.RecordBatch.from_pydict(
        {
            "text": ["Am 3. Mai. Ja.", "On 3. May. Yes.", None, "비가 왔습니다 네"],
            "language": ["de", "en", None, "ko"],
        }
    )
    whole = SplitSentences()(batch)
    assert whole["sentence_ends"].to_pylist() == [[11, 14], [6, 11, 15], [], [8, 9]]
    parts = [SplitSentences()(batch.slice(i, 1)) for i in range(4)]
    assert pa.Table.from_batches(parts).to_pylist() == whole.to_pylist()
    assert SplitSentences()(batch.slice(0, 0)).num_rows == 0
