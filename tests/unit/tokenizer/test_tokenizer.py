"""A trained tokenizer keeps every text, and stock transformers agrees with it."""

from __future__ import annotations

import json
import pickle
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.documents import document, write_documents
from tests.support.texts import HARD_TEXTS, SENTENCES

from hunmin.core.artifact import Artifact
from hunmin.core.errors import (
    ArtifactKindError,
    CorruptArtifactError,
    EmptyCorpusError,
    InputError,
    MissingInputError,
    TextEncodingError,
    VocabularyError,
)
from hunmin.tokenizer.load import TextTokenizer, load_tokenizer
from hunmin.tokenizer.spec import TokenizerSpec
from hunmin.tokenizer.train import train_tokenizer

GOLDEN = Path(__file__).parent / "golden_pieces.json"
ALL_TEXTS = [*HARD_TEXTS, *(text for texts in SENTENCES.values() for text in texts)]


@pytest.mark.parametrize("text", ALL_TEXTS)
def test_round_trip_of_scripts_and_trouble(tokenizer: TextTokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert not tokenizer.special_ids & set(ids)


@given(text=st.text())
def test_round_trip_of_any_text(tokenizer: TextTokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert tokenizer.encode_batch([text])[0].tolist() == tokenizer.encode(text)


def test_golden_pieces_by_language(tokenizer: TextTokenizer) -> None:
    """Training, splitting and merging are deterministic: the pieces never change by accident."""
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    pieces = {
        language: [tokenizer.token_bytes(token).hex() for token in tokenizer.encode(texts[0])]
        for language, texts in SENTENCES.items()
    }
    assert pieces == golden


def test_special_tokens_come_first(tokenizer: TextTokenizer) -> None:
    assert (tokenizer.boundary_id, tokenizer.pad_id) == (0, 1)
    assert tokenizer.special_ids == {0, 1, 2, 3}
    assert tokenizer.token_id("<|도우미|>") == 3
    assert tokenizer.token_bytes(3) == "<|도우미|>".encode()
    assert tokenizer.size == 600
    assert tokenizer.id_dtype == np.uint16


def test_special_tokens_are_decoded_on_request(tokenizer: TextTokenizer) -> None:
    ids = [0, *tokenizer.encode("물"), 3]
    assert tokenizer.decode(ids) == "물"
    assert tokenizer.decode(ids, skip_special_tokens=False) == "<|endoftext|>물<|도우미|>"


def test_every_byte_is_in_the_vocabulary(tokenizer: TextTokenizer) -> None:
    vocabulary = {tokenizer.token_bytes(token) for token in range(tokenizer.size)}
    assert {bytes([value]) for value in range(256)} <= vocabulary
    assert len(vocabulary) == tokenizer.size


def test_stock_transformers_gives_the_same_ids(
    tokenizer_artifact: Artifact, tokenizer: TextTokenizer
) -> None:
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    config = json.loads((tokenizer_artifact.path / "tokenizer_config.json").read_text())
    assert config["tokenizer_class"] == "PreTrainedTokenizerFast"
    for loader in (AutoTokenizer, PreTrainedTokenizerFast):
        stock = loader.from_pretrained(tokenizer_artifact.path)
        assert len(stock) == tokenizer.size
        assert stock.eos_token_id == stock.bos_token_id == tokenizer.boundary_id
        assert stock.pad_token_id == tokenizer.pad_id
        for text in ALL_TEXTS:
            if "<|" in text:
                continue
            ids = stock(text, add_special_tokens=True)["input_ids"]
            assert ids == tokenizer.encode(text)
            assert stock.decode(ids) == text


def test_a_copy_saved_by_transformers_has_the_same_digest(
    tokenizer_artifact: Artifact, tokenizer: TextTokenizer, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    AutoTokenizer.from_pretrained(tokenizer_artifact.path).save_pretrained(tmp_path)
    copy = load_tokenizer(tmp_path)
    assert copy.digest == tokenizer.digest == tokenizer_artifact.facts["digest"]
    assert (copy.boundary_id, copy.pad_id) == (0, 1)


def test_training_twice_gives_the_same_bytes(
    documents: Artifact, tokenizer_artifact: Artifact, tmp_path: Path
) -> None:
    spec = TokenizerSpec(vocab_size=600, special_tokens=("<|user|>", "<|도우미|>"))
    again = train_tokenizer(spec, documents, tmp_path / "again")
    assert again.manifest.files == tokenizer_artifact.manifest.files
    assert again.manifest.inputs[0].digest == documents.digest


def test_vocabulary_larger_than_the_data_can_fill(documents: Artifact, tmp_path: Path) -> None:
    spec = TokenizerSpec(vocab_size=50_000, temperature=1)
    with pytest.raises(VocabularyError, match=r"supports only \d+ merges") as caught:
        train_tokenizer(spec, documents, tmp_path / "tokenizer")
    assert "allow_smaller" in str(caught.value)
    assert not (tmp_path / "tokenizer").exists()
    smaller = train_tokenizer(
        spec.model_copy(update={"allow_smaller": True}), documents, tmp_path / "tokenizer"
    )
    assert smaller.facts["vocab_size"] == smaller.facts["merges"] + 258
    assert f"supports only {smaller.facts['merges']} merges" in str(caught.value)
    assert load_tokenizer(smaller.path).size == smaller.facts["vocab_size"]


def longest_entry(documents: Artifact, path: Path, limit: int | None) -> int:
    spec = TokenizerSpec(vocab_size=2_000, max_token_bytes=limit, allow_smaller=True)
    tokenizer = load_tokenizer(train_tokenizer(spec, documents, path).path)
    ordinary = set(range(tokenizer.size)) - tokenizer.special_ids
    return max(len(tokenizer.token_bytes(token)) for token in ordinary)


def test_entries_are_no_longer_than_the_limit(documents: Artifact, tmp_path: Path) -> None:
    assert longest_entry(documents, tmp_path / "limited", 9) == 9
    assert longest_entry(documents, tmp_path / "unlimited", None) > 9


def test_no_training_text(tmp_path: Path) -> None:
    empty = write_documents(tmp_path / "corpus", {"train": []})
    with pytest.raises(EmptyCorpusError, match="train split is empty"):
        train_tokenizer(TokenizerSpec(), empty, tmp_path / "tokenizer")
    blank = write_documents(tmp_path / "blank", {"train": [document("")]})
    with pytest.raises(EmptyCorpusError):
        train_tokenizer(TokenizerSpec(), blank, tmp_path / "tokenizer")


@pytest.mark.parametrize(
    "fields",
    [
        {"vocab_size": 200},
        {"vocab_size": 258, "special_tokens": ("<|user|>",)},
        {"special_tokens": ("<|pad|>",)},
        {"special_tokens": ("a", "a")},
        {"special_tokens": ("",)},
        {"temperature": 1.5},
    ],
)
def test_spec_refuses(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        TokenizerSpec.model_validate(fields)


def test_spec_reads_counts_with_suffix() -> None:
    spec = TokenizerSpec.model_validate({"vocab_size": "32K", "sample_max_bytes": "1.5M"})
    assert (spec.vocab_size, spec.sample_max_bytes) == (32_000, 1_500_000)


def test_lone_surrogates_are_refused(tokenizer: TextTokenizer) -> None:
    for encode in (tokenizer.encode, lambda text: tokenizer.encode_batch([text])):
        with pytest.raises(TextEncodingError, match=r"U\+D800 at character 1"):
            encode("a\ud800")


def test_ids_outside_the_vocabulary_are_refused(tokenizer: TextTokenizer) -> None:
    for token in (-1, 600):
        with pytest.raises(InputError, match="not in the vocabulary"):
            tokenizer.decode([token])


def test_cut_characters_decode_to_a_replacement_mark(tokenizer: TextTokenizer) -> None:
    first = next(t for t in range(tokenizer.size) if tokenizer.token_bytes(t) == b"\xed")
    assert tokenizer.decode([first]) == "\ufffd"
    assert tokenizer.decode_bytes([first]) == b"\xed"


def test_pickling_keeps_the_ids(tokenizer: TextTokenizer) -> None:
    copy = pickle.loads(pickle.dumps(tokenizer))
    assert copy.digest == tokenizer.digest
    assert copy.encode("모든 인간") == tokenizer.encode("모든 인간")


def test_loading_what_is_no_tokenizer(tokenizer_artifact: Artifact, tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match="no such tokenizer folder"):
        load_tokenizer(tmp_path / "nothing")
    with pytest.raises(ArtifactKindError, match=r"no tokenizer\.json"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(CorruptArtifactError, match="cannot be read"):
        load_tokenizer(tmp_path)
    shutil.copy(tokenizer_artifact.path / "tokenizer.json", tmp_path)
    (tmp_path / "tokenizer_config.json").write_text("{")
    with pytest.raises(CorruptArtifactError, match="not JSON"):
        load_tokenizer(tmp_path)


def test_loading_other_kinds_of_tokenizer(tokenizer_artifact: Artifact, tmp_path: Path) -> None:
    definition = json.loads((tokenizer_artifact.path / "tokenizer.json").read_text())
    (tmp_path / "tokenizer.json").write_text(json.dumps(definition | {"decoder": None}))
    with pytest.raises(ArtifactKindError, match="do not stand for bytes"):
        load_tokenizer(tmp_path)
    definition["added_tokens"] = definition["added_tokens"][1:]
    definition["model"]["vocab"].pop("<|endoftext|>")
    (tmp_path / "tokenizer.json").write_text(json.dumps(definition))
    with pytest.raises(ArtifactKindError, match="lacks a special token"):
        load_tokenizer(tmp_path)


def test_a_changed_file_is_noticed(tokenizer_artifact: Artifact, tmp_path: Path) -> None:
    shutil.copytree(tokenizer_artifact.path, tmp_path / "copy")
    file = tmp_path / "copy" / "tokenizer.json"
    file.write_text(file.read_text().replace("Ġ", "ġ", 1))
    with pytest.raises(CorruptArtifactError, match=r"tokenizer\.json"):
        load_tokenizer(tmp_path / "copy")


def test_composed_and_decomposed_text_stay_apart(tokenizer: TextTokenizer) -> None:
    """The tokenizer never normalizes: that is the corpus' work, and text must come back as is."""
    text = unicodedata.normalize("NFD", "한국어")
    assert tokenizer.decode(tokenizer.encode(text)) == text
