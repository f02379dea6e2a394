"""Consistent BPE: an ordinary tokenizer that keeps morphemes apart, without an analyser."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.documents import document, write_documents
from tests.support.texts import HARD_TEXTS, SENTENCES

from hunmin.core.artifact import Artifact
from hunmin.core.errors import VocabularyError
from hunmin.tokenizer.load import TextTokenizer, load_tokenizer
from hunmin.tokenizer.methods.base import TrainingTask
from hunmin.tokenizer.methods.morpheme_bpe import count_text
from hunmin.tokenizer.sample import plan_sample
from hunmin.tokenizer.spec import AnalyserSpec, MorphemeSpec, TokenizerSpec
from hunmin.tokenizer.train import train_tokenizer

GOLDEN = Path(__file__).parent / "golden_morpheme_pieces.json"
STEMS = ("먹", "읽", "찾", "씻", "믿", "닫", "웃", "뽑")
ENDINGS = ("었 습니다", "었 다", "고", "지만", "었 는데")
NOUNS = ("학교", "친구", "바다", "도시", "노래")
PARTICLES = ("에서 는", "에 는", "은", "을", "과")


def table() -> str:
    """Segmentations of verbs and nouns, in the plain format."""
    pairs = [(stem, ending) for stem in STEMS for ending in ENDINGS]
    pairs += [(noun, particle) for noun in NOUNS for particle in PARTICLES]
    return "\n".join(f"{a}{b.replace(' ', '')}\t{a} {b}" for a, b in pairs)


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> TokenizerSpec:
    path = tmp_path_factory.mktemp("table") / "ko.tsv"
    path.write_text(table(), encoding="utf-8")
    analysers = {"ko": AnalyserSpec(name="table", path=path)}
    return TokenizerSpec(
        kind="morpheme-bpe",
        vocab_size=1000,
        character_coverage=1,
        special_tokens=("<|user|>",),
        morphemes=MorphemeSpec(analysers=analysers, cross_penalty=1),
    )


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    words = [row.split("\t")[0] for row in table().splitlines()]
    # 먹었습니다 is so frequent that plain BPE makes it one entry.
    texts = [f"{noun} {verb}" for noun in words for verb in words] + [
        "먹었습니다 학교에서는"
    ] * 3000
    rows = [document(f"{text} {number}") for number, text in enumerate(texts)]
    rows += [
        document(f"{text} {number}", language)
        for language, texts in SENTENCES.items()
        for text in texts
        for number in range(5)
    ]
    return write_documents(tmp_path_factory.mktemp("corpus") / "corpus", {"train": rows})


@pytest.fixture(scope="module")
def artifact(
    spec: TokenizerSpec, corpus: Artifact, tmp_path_factory: pytest.TempPathFactory
) -> Artifact:
    return train_tokenizer(spec, corpus, tmp_path_factory.mktemp("morphemes") / "tokenizer")


@pytest.fixture(scope="module")
def consistent(artifact: Artifact) -> TextTokenizer:
    return load_tokenizer(artifact.path)


def pieces(tokenizer: TextTokenizer, text: str) -> list[str]:
    return [
        tokenizer.token_bytes(token).decode("utf-8", "replace") for token in tokenizer.encode(text)
    ]


def test_morphemes_stay_apart_without_an_analyser(consistent: TextTokenizer) -> None:
    assert pieces(consistent, "먹었습니다") == ["먹", "었", "습니다"]
    assert pieces(consistent, " 학교에서는") == [" 학교", "에서", "는"]


def test_words_never_seen_are_cut_alike(consistent: TextTokenizer) -> None:
    """The table has no 웃 + 습니다, nor has the text."""
    assert pieces(consistent, "웃습니다") == ["웃", "습니다"]


def test_by_default_only_what_is_frequent_grows_together(
    spec: TokenizerSpec, corpus: Artifact, tmp_path: Path
) -> None:
    morphemes = MorphemeSpec(analysers=spec.morphemes.analysers)
    default = spec.model_copy(update={"morphemes": morphemes})
    tokenizer = load_tokenizer(train_tokenizer(default, corpus, tmp_path / "tokenizer").path)
    assert pieces(tokenizer, "먹었습니다") == ["먹었습니다"]
    assert pieces(tokenizer, " 읽었습니다") == [" 읽", "었습니다"]


def test_plain_bpe_of_the_same_text_glues_them(
    spec: TokenizerSpec, corpus: Artifact, tmp_path: Path
) -> None:
    morphemes = spec.morphemes.model_copy(update={"cross_penalty": -1})
    plain = spec.model_copy(update={"morphemes": morphemes})
    tokenizer = load_tokenizer(train_tokenizer(plain, corpus, tmp_path / "tokenizer").path)
    assert pieces(tokenizer, "먹었습니다") == ["먹었습니다"]


def test_the_folder_is_ordinary(artifact: Artifact, consistent: TextTokenizer) -> None:
    from transformers import AutoTokenizer

    definition = json.loads((artifact.path / "tokenizer.json").read_text(encoding="utf-8"))
    stock = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": True,
    }
    assert definition["pre_tokenizer"] == stock
    assert definition["normalizer"] is None
    assert definition["model"]["byte_fallback"] is False
    loaded = AutoTokenizer.from_pretrained(artifact.path)
    for text in [*HARD_TEXTS[:3], *HARD_TEXTS[4:], "먹었습니다 학교에서는"]:
        assert loaded(text)["input_ids"] == consistent.encode(text)
        assert loaded.decode(loaded(text)["input_ids"]) == text


def test_what_was_analysed_is_recorded(artifact: Artifact) -> None:
    record = artifact.facts["morphemes"]["ko"]
    assert record["analyser"].startswith("table")
    assert record["boundaries"] > 3000
    assert artifact.facts["kind"] == "morpheme-bpe"


@given(text=st.text())
def test_round_trip_of_any_text(consistent: TextTokenizer, text: str) -> None:
    assert consistent.decode(consistent.encode(text)) == text
    assert consistent.encode_batch([text])[0].tolist() == consistent.encode(text)


def test_golden_pieces_by_language(consistent: TextTokenizer) -> None:
    """The pieces of each language never change by accident."""
    found = {language: pieces(consistent, texts[0]) for language, texts in SENTENCES.items()}
    assert found == json.loads(GOLDEN.read_text(encoding="utf-8"))


def test_training_is_deterministic(
    spec: TokenizerSpec, corpus: Artifact, artifact: Artifact, tmp_path: Path
) -> None:
    again = train_tokenizer(spec, corpus, tmp_path / "tokenizer")
    name = "tokenizer.json"
    assert (again.path / name).read_bytes() == (artifact.path / name).read_bytes()


def test_superwords_span_words_and_keep_boundaries(
    spec: TokenizerSpec, corpus: Artifact, tmp_path: Path
) -> None:
    wide = spec.model_copy(update={"superwords": 0.1})
    artifact = train_tokenizer(wide, corpus, tmp_path / "tokenizer")
    tokenizer = load_tokenizer(artifact.path)
    cut = pieces(tokenizer, "먹었습니다 학교에서는")
    assert cut == ["먹", "었", "습니다 학교", "에서", "는"]
    for text in [*HARD_TEXTS, "두 칸  세 칸   \n 끝"]:
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_too_little_text_says_how_many_merges_were_possible(
    spec: TokenizerSpec, corpus: Artifact, tmp_path: Path
) -> None:
    large = spec.model_copy(update={"vocab_size": 50_000})
    with pytest.raises(VocabularyError, match=r"supports only \d+ merges") as caught:
        train_tokenizer(large, corpus, tmp_path / "tokenizer")
    assert "2 times within morphemes, less 1 for each time across" in str(caught.value)
    assert not (tmp_path / "tokenizer").exists()


def test_words_are_cut_as_in_their_own_language_only(spec: TokenizerSpec, tmp_path: Path) -> None:
    rows = [document(f"학교에서는 {number}") for number in range(10)]
    rows += [document(f"학교에서는 {number}", "fr") for number in range(90)]
    documents = write_documents(tmp_path / "corpus", {"train": rows})
    task = TrainingTask(spec, documents, plan_sample(documents, spec))
    words = count_text(task).words
    number = words.words.index("학교에서는")
    assert words.counts[number] > 50
    cuts = dict(zip(words.cut_positions.tolist(), words.cut_counts.tolist(), strict=True))
    # The last text of the sample is cut short.
    in_korean = sum(
        tag == "ko" and text.startswith("학교에서는")
        for batch in task.batches()
        for text, tag in zip(batch.texts, batch.languages, strict=True)
    )
    assert cuts == {2: in_korean, 4: in_korean}
    assert in_korean < words.counts[number]


def test_words_outside_the_analysed_text_are_analysed_too(
    spec: TokenizerSpec, corpus: Artifact, consistent: TextTokenizer, tmp_path: Path
) -> None:
    little = spec.morphemes.model_copy(update={"sample_max_bytes": 2_000})
    artifact = train_tokenizer(
        spec.model_copy(update={"morphemes": little}), corpus, tmp_path / "tokenizer"
    )
    assert artifact.facts["morphemes"]["ko"]["analysed_bytes"] <= 2_100
    tokenizer = load_tokenizer(artifact.path)
    for text in ("먹었습니다", " 학교에서는", " 노래과"):
        assert pieces(tokenizer, text) == pieces(consistent, text)


def test_functional_boundaries_only(spec: TokenizerSpec, corpus: Artifact, tmp_path: Path) -> None:
    """A table does not say what its boundaries are, so none of them is functional."""
    functional = spec.morphemes.model_copy(update={"boundaries": "functional"})
    artifact = train_tokenizer(
        spec.model_copy(update={"morphemes": functional}), corpus, tmp_path / "tokenizer"
    )
    assert artifact.facts["morphemes"]["ko"]["boundaries"] == 0
    assert pieces(load_tokenizer(artifact.path), "먹었습니다") == ["먹었습니다"]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"kind": "byte-bpe", "morphemes": {"cross_penalty": 0}}, "says nothing to kind byte-bpe"),
        ({"kind": "byte-bpe", "superwords": 0.1}, "superwords need kind morpheme-bpe"),
        ({"kind": "char-bpe", "split": "marks"}, "keeps marks with their letters"),
        ({"kind": "morpheme-bpe", "morphemes": {"cross_penalty": -2}}, "greater than or equal"),
        ({"kind": "morpheme-bpe", "morphemes": {"boundaries": ["josa"]}}, "particle"),
        ({"morphemes": {"analysers": {"ko": "kiwy"}}}, "Did you mean 'kiwi'"),
        ({"morphemes": {"analysers": {"ko": "unidic"}}}, "not for Korean"),
        ({"morphemes": {"analysers": {"cs": "table"}}}, "needs a file"),
        ({"morphemes": {"analysers": {"ko": "kiwi:x.tsv"}}}, "takes no file"),
    ],
)
def test_specs_that_cannot_be(fields: dict[str, object], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        TokenizerSpec.model_validate(fields)
