"""The merges that made a word: they end in the library's tokens, for every kind of BPE."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.foreign import foreign_definition
from tests.support.texts import HARD_TEXTS, SENTENCES
from tests.unit.tokenizer.compare.conftest import byte_bpe, char_bpe, unigram
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from hunmin.core.artifact import Artifact
from hunmin.core.errors import ArtifactKindError, InputError
from hunmin.tokenizer.merges import MergeTracer, render_merges, show_bytes

CHARACTERS = "모든 인간은 태어날 때부터 aábeinofr ts,.한글\n\x00𒀀<"
LINES = [sentence for sentences in SENTENCES.values() for sentence in sentences] * 3


def trained_byte_bpe() -> str:
    tokenizer = byte_bpe()
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(LINES, trainer)
    return str(tokenizer.to_str())


def trained_char_bpe(*, fallback: bool) -> str:
    tokenizer = char_bpe("▁", fallback=fallback)
    specials = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256) if fallback)]
    trainer = trainers.BpeTrainer(
        vocab_size=700, special_tokens=specials, limit_alphabet=150, show_progress=False
    )
    tokenizer.train_from_iterator(LINES, trainer)
    return str(tokenizer.to_str())


def trained_with_affixes() -> str:
    """Old layouts: ## before parts of a word, </w> at its end."""
    tokenizer = Tokenizer(
        models.BPE(unk_token="<unk>", continuing_subword_prefix="##", end_of_word_suffix="</w>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<unk>"],
        continuing_subword_prefix="##",
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    tokenizer.train_from_iterator(LINES, trainer)
    return str(tokenizer.to_str())


MAKERS: dict[str, Callable[[], str]] = {
    "byte-level": trained_byte_bpe,
    "characters": lambda: trained_char_bpe(fallback=False),
    "byte fallback": lambda: trained_char_bpe(fallback=True),
    "affixes": trained_with_affixes,
    "qwen": foreign_definition,
    "llama 3": lambda: foreign_definition(ignore_merges=True),
}


@pytest.fixture(scope="module", params=list(MAKERS))
def pair(request: pytest.FixtureRequest) -> tuple[MergeTracer, Tokenizer]:
    return trace_and_reference(MAKERS[request.param]())


def trace_and_reference(definition: str) -> tuple[MergeTracer, Tokenizer]:
    reference = Tokenizer.from_str(definition)
    reference.encode_special_tokens = True
    return MergeTracer(definition), reference


def check(pair: tuple[MergeTracer, Tokenizer], text: str) -> None:
    tracer, reference = pair
    encoding = reference.encode(text, add_special_tokens=False)
    words = tracer.trace(text)
    assert [token for word in words for token in word.ids] == encoding.ids
    shown = [tracer._show(token) for token in encoding.tokens]
    assert [token for word in words for token in word.tokens] == shown
    ignores = json.loads(reference.to_str())["model"].get("ignore_merges")
    assert not any(word.is_whole_entry for word in words) or ignores


@pytest.mark.parametrize("text", [*HARD_TEXTS, *LINES[: len(LINES) // 3]])
def test_merges_end_in_the_tokens_of_the_library(
    pair: tuple[MergeTracer, Tokenizer], text: str
) -> None:
    check(pair, text)


@given(
    text=st.text(
        st.sampled_from("모든 인간은 태어날 때부터 aábeinofr ts,.한글\n\x00𒀀<"), max_size=30
    )
)
def test_merges_of_any_text_end_in_the_tokens_of_the_library(
    pair: tuple[MergeTracer, Tokenizer], text: str
) -> None:
    check(pair, text)


def test_the_chain_of_a_word() -> None:
    tokenizer = byte_bpe("먹었", "습니다")
    tracer = MergeTracer(tokenizer.to_str())
    (word,) = tracer.trace("먹었습니다")
    assert word.tokens == ("먹었", "습니다")
    steps = [(merge.left, merge.right, merge.rank) for merge in word.merges]
    assert steps[0] == ("<EB>", "<A8>", 0)
    assert word.merges[1].result == "먹"
    assert [merge.within_character for merge in word.merges[:3]] == [True, True, False]
    lines = render_merges([word]).splitlines()
    assert lines[0] == "먹었 | 습니다"
    assert "    먹<EC><97> + <88> → 먹었  (rank 4)" in lines
    assert lines[-1] == "    and 4 merges of bytes to characters"
    assert word.as_dict()["merges"][0] == {
        "left": "<EB>",
        "right": "<A8>",
        "result": "<EB><A8>",
        "rank": 0,
        "within_character": True,
    }


def test_characters_that_merge() -> None:
    tokenizer = char_bpe("▁먹었다", ("먹", "었"), ("▁", "먹었"))
    (word,) = MergeTracer(tokenizer.to_str()).trace("먹었다")
    assert render_merges([word]).splitlines() == [
        "␠먹었 | 다",
        "    먹 + 었 → 먹었  (rank 0)",
        "    ␠ + 먹었 → ␠먹었  (rank 1)",
    ]


def test_an_entry_that_is_taken_whole() -> None:
    tokenizer = byte_bpe("먹었")
    definition = json.loads(tokenizer.to_str())
    definition["model"]["ignore_merges"] = True
    definition["model"]["vocab"]["ìĹĪë¨¹"] = 500
    (word,) = MergeTracer(json.dumps(definition)).trace("었먹")
    assert word.is_whole_entry
    assert "taken without merging" in render_merges([word])


def test_a_tokenizer_without_merges_is_refused() -> None:
    with pytest.raises(ArtifactKindError, match="no merges to show") as caught:
        MergeTracer(unigram(("▁", -1.0)).to_str())
    assert "Unigram" in str(caught.value)


def test_our_own_artifact(tokenizer_artifact: Artifact) -> None:
    definition = (Path(tokenizer_artifact.path) / "tokenizer.json").read_text(encoding="utf-8")
    check(trace_and_reference(definition), "모든 인간은 <|endoftext|> 자유로우며")


def test_stray_bytes_are_shown() -> None:
    assert show_bytes("먹 ".encode() + b"\xea\xb0") == "먹␠<EA><B0>"
    assert show_bytes(b"\x00") == "<U+0000>"


def test_a_word_without_end_is_refused(tokenizer_artifact: Artifact) -> None:
    definition = (tokenizer_artifact.path / "tokenizer.json").read_text(encoding="utf-8")
    with pytest.raises(InputError, match="too long to show its merges"):
        list(MergeTracer(definition).trace("a" * 100_000))
