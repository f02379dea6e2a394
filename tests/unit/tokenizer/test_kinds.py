"""What holds for tokenizers of every kind: nothing is lost, and stock transformers agrees."""

from __future__ import annotations

import json
import pickle
import sys
import unicodedata
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.documents import document, write_documents
from tests.support.texts import HARD_TEXTS, SENTENCES

from hunmin.core.artifact import Artifact
from hunmin.core.errors import MissingExtraError, TextEncodingError, VocabularyError
from hunmin.core.extras import install_command
from hunmin.tokenizer.inspect import inspect_pieces
from hunmin.tokenizer.load import TextTokenizer, load_tokenizer
from hunmin.tokenizer.spec import MORPHEME_KINDS, UNIGRAM_KINDS, Kind, TokenizerSpec
from hunmin.tokenizer.train import train_tokenizer

KINDS: tuple[Kind, ...] = get_args(Kind)
TROUBLE = [
    *HARD_TEXTS,
    unicodedata.normalize("NFD", "한국어 문장을 먹었습니다"),
    "\u1112\u119e\u11ab\u1100\u1173\u11af 옛 글 ㆍㅿㆁㆆ",
    "two  spaces,\ttabs\n\n and\r\n \u3000 other \u00a0 white \u2028 space ",
    "\u2581 lower block\u2581 and <0xEA> <0x41> ▁the",
    "한국語とEnglish한글русскийعربي१२३",
    "".join(map(chr, range(32))) + "\x7f\x80\x9f\ufeff\uffff\ufffd\U0010fffe",
]
ALL_TEXTS = [*TROUBLE, *(text for texts in SENTENCES.values() for text in texts)]


def spec_of(kind: Kind, **fields: object) -> TokenizerSpec:
    morphemes = {"analysers": {"ko": "mecab-ko"}} if kind in MORPHEME_KINDS else {}
    # The same characters for all.
    coverage = {"character_coverage": 0.99}
    # Unigram models of so little text are smaller than merges could make them.
    smaller = {"allow_smaller": kind in UNIGRAM_KINDS}
    values = {"kind": kind, "vocab_size": 600, "morphemes": morphemes, **coverage, **smaller}
    values |= fields
    return TokenizerSpec.model_validate(values)


VARIANTS: list[dict[str, object]] = [
    *({"kind": kind} for kind in KINDS),
    *({"kind": kind, "split": "marks"} for kind in ("byte-bpe", "byte-unigram", "morpheme-bpe")),
    {"kind": "morpheme-bpe", "superwords": 0.1},
    {"kind": "morpheme-bpe", "superwords": 0.1, "split": "marks"},
]


def name_of(fields: dict[str, object]) -> str:
    return "-".join(map(str, fields.values()))


@pytest.fixture(scope="module", params=VARIANTS, ids=name_of)
def spec(request: pytest.FixtureRequest) -> TokenizerSpec:
    return spec_of(**request.param, special_tokens=("<|user|>", "the", "###"))


@pytest.fixture(scope="module")
def artifact(
    spec: TokenizerSpec, documents: Artifact, tmp_path_factory: pytest.TempPathFactory
) -> Artifact:
    return train_tokenizer(spec, documents, tmp_path_factory.mktemp(spec.kind) / "tokenizer")


@pytest.fixture(scope="module")
def kind_tokenizer(artifact: Artifact) -> TextTokenizer:
    return load_tokenizer(artifact.path)


@settings(deadline=None)
@given(text=st.text())
def test_round_trip_of_any_text(kind_tokenizer: TextTokenizer, text: str) -> None:
    ids = kind_tokenizer.encode(text)
    assert kind_tokenizer.decode(ids) == text
    assert not kind_tokenizer.special_ids & set(ids)
    assert b"".join(map(kind_tokenizer.token_bytes, ids)) == text.encode()


@settings(deadline=None)
@given(
    text=st.text(
        alphabet="가먹었습니다 \u1112\u1161 the#<0xEA>|user_▁\u200d👩🏽é\n\t\x00", max_size=40
    )
)
def test_round_trip_of_trouble_mixed(kind_tokenizer: TextTokenizer, text: str) -> None:
    ids = kind_tokenizer.encode(text)
    assert kind_tokenizer.decode(ids) == text
    assert not kind_tokenizer.special_ids & set(ids)


def test_round_trip_of_scripts_and_trouble(kind_tokenizer: TextTokenizer) -> None:
    rows = kind_tokenizer.encode_batch(ALL_TEXTS)
    assert [kind_tokenizer.decode(row.tolist()) for row in rows] == ALL_TEXTS
    assert [row.tolist() for row in rows] == [kind_tokenizer.encode(text) for text in ALL_TEXTS]
    for text in ALL_TEXTS:
        pieces = inspect_pieces(kind_tokenizer, text)
        assert b"".join(piece.data for piece in pieces) == text.encode()


def test_special_tokens_in_a_text_are_text(kind_tokenizer: TextTokenizer) -> None:
    """Also those whose names are words of the training text."""
    text = "<|endoftext|><|pad|> the <|user|>the others ### the####"
    ids = kind_tokenizer.encode(text)
    assert not kind_tokenizer.special_ids & set(ids)
    assert kind_tokenizer.decode(ids) == text
    user, the = (kind_tokenizer.token_id(name) for name in ("<|user|>", "the"))
    assert (user, the) == (2, 3)
    assert kind_tokenizer.decode([*ids, 3], skip_special_tokens=False) == text + "the"


@pytest.mark.parametrize("kind", KINDS)
def test_words_that_are_special_tokens_never_become_one(kind: Kind, tmp_path: Path) -> None:
    rows = [document(f"the\nthe\n### ###\nthen 먹다\n먹다 {number}") for number in range(30)]
    corpus = write_documents(tmp_path / "corpus", {"train": rows})
    names = ("the", "###", "먹다", "Ġ###")
    spec = spec_of(kind, vocab_size=330, special_tokens=names, allow_smaller=True)
    tokenizer = load_tokenizer(train_tokenizer(spec, corpus, tmp_path / "tokenizer").path)
    for text in ("the", "the\nthe", "### ###", "먹다 먹다", "then other ####", "Ġ### Ġ###"):
        ids = tokenizer.encode(text)
        assert not tokenizer.special_ids & set(ids)
        assert tokenizer.decode(ids) == text
    assert tokenizer.decode([2, 3, 4, 5], skip_special_tokens=False) == "".join(names)


def test_all_bytes_are_entries_and_none_is_there_twice(kind_tokenizer: TextTokenizer) -> None:
    ordinary = [
        kind_tokenizer.token_bytes(token)
        for token in range(kind_tokenizer.size)
        if token not in kind_tokenizer.special_ids
    ]
    assert {bytes([value]) for value in range(256)} <= set(ordinary)
    assert (kind_tokenizer.boundary_id, kind_tokenizer.pad_id) == (0, 1)
    assert "" not in map(kind_tokenizer.token_bytes, range(kind_tokenizer.size))


def test_lone_surrogates_are_refused(kind_tokenizer: TextTokenizer) -> None:
    for encode in (kind_tokenizer.encode, lambda text: kind_tokenizer.encode_batch([text])):
        with pytest.raises(TextEncodingError, match=r"U\+D800 at character 1"):
            encode("a\ud800")


def test_pickling_keeps_the_ids(kind_tokenizer: TextTokenizer) -> None:
    copy = pickle.loads(pickle.dumps(kind_tokenizer))
    assert copy.digest == kind_tokenizer.digest
    text = SENTENCES["ko"][0]
    assert copy.encode(text) == kind_tokenizer.encode(text)


def test_stock_transformers_gives_the_same_ids(artifact: Artifact, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    is_exact = artifact.facts["kind"] == "morpheme-bpe-exact"
    tokenizer = load_tokenizer(artifact.path)
    whole = TextTokenizer(tokenizer.definition)
    stock = AutoTokenizer.from_pretrained(artifact.path)
    assert len(stock) == tokenizer.size
    assert stock.eos_token_id == stock.bos_token_id == tokenizer.boundary_id
    for text in ALL_TEXTS:
        # Other libraries recognise special tokens that are written out in a text.
        if any(name in text for name in artifact.facts["special_tokens"]):
            continue
        ids = stock(text)["input_ids"]
        # Other libraries do not run the analyser; without its cuts all is as usual.
        assert ids == (tokenizer.encode(text) if not is_exact else whole.encode(text))
        if "\ufffd" not in text:
            assert stock.decode(ids) == text
    stock.save_pretrained(tmp_path)
    assert load_tokenizer(tmp_path).digest == whole.digest
    assert tokenizer.digest == artifact.facts["digest"]
    assert (tokenizer.digest == whole.digest) != is_exact


def test_training_twice_gives_the_same_bytes(
    spec: TokenizerSpec, documents: Artifact, artifact: Artifact, tmp_path: Path
) -> None:
    again = train_tokenizer(spec, documents, tmp_path / "again")
    assert again.manifest.files == artifact.manifest.files


@pytest.mark.parametrize("kind", KINDS)
def test_too_little_text_for_the_vocabulary(
    kind: Kind, documents: Artifact, tmp_path: Path
) -> None:
    spec = spec_of(kind, vocab_size=50_000, allow_smaller=False)
    with pytest.raises(VocabularyError, match=r"supports only \d+ (merges|pieces)") as caught:
        train_tokenizer(spec, documents, tmp_path / "tokenizer")
    assert "allow_smaller" in str(caught.value)
    smaller = train_tokenizer(
        spec_of(kind, vocab_size=50_000, allow_smaller=True), documents, tmp_path / "tokenizer"
    )
    size, facts = load_tokenizer(smaller.path).size, smaller.facts
    learned = facts.get("merges", facts.get("pieces"))
    assert size == facts["vocab_size"] == 258 + facts.get("characters", 0) + learned
    assert f"supports only {learned} " in str(caught.value)


@pytest.mark.parametrize("kind", ["char-bpe", "unigram"])
def test_more_characters_than_the_vocabulary_holds(
    kind: Kind, documents: Artifact, tmp_path: Path
) -> None:
    with pytest.raises(VocabularyError, match=r"no room for the \d+ characters") as caught:
        train_tokenizer(
            spec_of(kind, vocab_size=270, character_coverage=1), documents, tmp_path / "tokenizer"
        )
    assert "character_coverage" in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("char-bpe", "<0x41>"),
        ("unigram", "<0x41>"),
        # Partial characters as byte-level BPE writes them: no text can be cut to avoid them.
        ("byte-bpe", "ê°"),
    ],
)
def test_special_tokens_that_texts_need_are_refused(kind: Kind, name: str, tmp_path: Path) -> None:
    rows = [document(f"강 감 값 각 간 {number}") for number in range(20)]
    corpus = write_documents(tmp_path / "corpus", {"train": rows})
    spec = spec_of(kind, vocab_size=300, special_tokens=(name,), allow_smaller=True)
    with pytest.raises(VocabularyError, match="written like an entry") as caught:
        train_tokenizer(spec, corpus, tmp_path / "tokenizer")
    assert name in str(caught.value)


def test_rare_characters_are_spelled_in_bytes(documents: Artifact, tmp_path: Path) -> None:
    spec = spec_of("char-bpe", character_coverage=0.9, vocab_size=500)
    tokenizer = load_tokenizer(train_tokenizer(spec, documents, tmp_path / "tokenizer").path)
    tokens = [tokenizer.token_bytes(token) for token in tokenizer.encode("𒀀e")]
    assert tokens == [b"\xf0", b"\x92", b"\x80", b"\x80", b"e"]
    assert tokenizer.token_id("<0xF0>") == 2 + 0xF0


def test_longest_entries_of_characters(documents: Artifact, tmp_path: Path) -> None:
    for kind in ("char-bpe", "unigram"):
        spec = spec_of(kind, max_token_bytes=9, vocab_size=3_000, allow_smaller=True)
        tokenizer = load_tokenizer(train_tokenizer(spec, documents, tmp_path / kind).path)
        ordinary = set(range(tokenizer.size)) - tokenizer.special_ids
        assert (
            max(
                len(tokenizer.token_bytes(token).decode())
                for token in ordinary
                if len(tokenizer.token_bytes(token)) > 1
            )
            == 3
        )


def test_words_keep_marks_and_joiners(tmp_path: Path) -> None:
    """A vowel sign of Hindi does not end a word, as it does with GPT-2's split."""
    word = "क्\u200dषि"
    rows = [document(f"{word} {word} {number}", "hi") for number in range(20)]
    corpus = write_documents(tmp_path / "corpus", {"train": rows})
    spec = spec_of("char-bpe", vocab_size=300, character_coverage=1, allow_smaller=True)
    tokenizer = load_tokenizer(train_tokenizer(spec, corpus, tmp_path / "tokenizer").path)
    assert [tokenizer.token_bytes(token).decode() for token in tokenizer.encode(word)] == [word]


@pytest.mark.parametrize("kind", sorted(UNIGRAM_KINDS))
def test_without_sentencepiece(
    kind: Kind, documents: Artifact, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    with pytest.raises(MissingExtraError) as caught:
        train_tokenizer(spec_of(kind), documents, tmp_path / "tokenizer")
    assert install_command("unigram") in str(caught.value)


def test_the_manifest_names_the_kind(artifact: Artifact) -> None:
    manifest = json.loads((artifact.path / "manifest.json").read_text())
    assert manifest["facts"]["kind"] in KINDS
    if manifest["facts"]["kind"] in MORPHEME_KINDS:
        record = manifest["facts"]["morphemes"]["ko"]
        assert record["analyser"].startswith("mecab-ko")
        assert record["boundaries"] > 0
