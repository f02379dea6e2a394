"""The bytes of entries in the formats of well-known models, built small."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.support.texts import SENTENCES
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

from hunmin.core.errors import ArtifactKindError
from hunmin.tokenizer.inspect import inspect_pieces
from hunmin.tokenizer.load import TextTokenizer
from hunmin.tokenizer.pieces import BYTE_ENTRIES, identifying_parts, read_spelling

SPECIALS = ["<unk>", "<s>", "</s>"]
MERGES = [("h", "e"), ("t", "he"), ("▁", "the"), ("▁", "▁")]
LOSSLESS = ["the water", "the  the\n\tthe", "물 the <0xEA> </s> 𒀀", " the", "  the ", "", "x"]


def character_bpe() -> models.BPE:
    entries = [
        *SPECIALS,
        *BYTE_ENTRIES,
        *"▁abcdefghijklmnopqrstuvwxyz가나다",
        *map("".join, MERGES),
    ]
    vocabulary = {entry: number for number, entry in enumerate(entries)}
    return models.BPE(vocab=vocabulary, merges=MERGES, byte_fallback=True, unk_token="<unk>")


def llama2() -> Tokenizer:
    tokenizer = Tokenizer(character_bpe())
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(content=" ", left=1, right=0),
        ]
    )
    return tokenizer


def mistral() -> Tokenizer:
    tokenizer = llama2()
    tokenizer.normalizer = None
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme="first", split=False)
    return tokenizer


def gemma() -> Tokenizer:
    tokenizer = Tokenizer(character_bpe())
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    return tokenizer


def xlm_roberta() -> Tokenizer:
    letters = [(letter, -9.0) for letter in "▁abcdefghijklmnopqrstuvwxyz가나다"]
    names = [(name, 0.0) for name in SPECIALS]
    tokenizer = Tokenizer(models.Unigram([*names, *letters, ("▁the", -3.0)], 0))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace("▁", prepend_scheme="always")
    return tokenizer


def definition_of(tokenizer: Tokenizer) -> dict[str, Any]:
    tokenizer.add_special_tokens(SPECIALS)
    definition: dict[str, Any] = json.loads(tokenizer.to_str())
    return definition


def load(tokenizer: Tokenizer) -> TextTokenizer:
    definition = json.dumps(definition_of(tokenizer))
    return TextTokenizer(definition, boundary_token="</s>", pad_token="</s>")


@pytest.mark.parametrize("make", [llama2, mistral, gemma])
@pytest.mark.parametrize("text", LOSSLESS)
def test_texts_come_back_as_they_were(make: Callable[[], Tokenizer], text: str) -> None:
    tokenizer = load(make())
    ids = tokenizer.encode(text)
    # Metaspace puts no space before a text that has one: the two texts have the same ids.
    expected = text.removeprefix(" ") if make is mistral else text
    assert tokenizer.decode(ids) == expected
    assert tokenizer.encode_batch([text])[0].tolist() == ids
    library = Tokenizer.from_str(tokenizer.definition)
    assert tokenizer.decode(ids) == library.decode(ids, skip_special_tokens=True)


@pytest.mark.parametrize("make", [llama2, mistral])
def test_a_space_before_the_text_is_taken_away_once(make: Callable[[], Tokenizer]) -> None:
    tokenizer = load(make())
    ids = tokenizer.encode("the the")
    assert [tokenizer.token_bytes(token) for token in ids] == [b" the", b" the"]
    assert tokenizer.decode_bytes(ids) == b" the the"
    assert tokenizer.decode(ids) == "the the"
    assert [piece.label for piece in inspect_pieces(tokenizer, "the")] == ["␠the"]


def test_without_a_space_nothing_is_taken_away() -> None:
    tokenizer = load(gemma())
    assert tokenizer.decode(tokenizer.encode(" the")) == " the"


def test_bytes_of_rare_characters_are_bytes() -> None:
    tokenizer = load(gemma())
    ids = tokenizer.encode("물")
    assert [tokenizer.token_bytes(token) for token in ids] == [b"\xeb", b"\xac", b"\xbc"]
    assert tokenizer.decode(ids[:2]) == "\ufffd"


def test_unigram_with_an_unknown_token() -> None:
    tokenizer = load(xlm_roberta())
    ids = tokenizer.encode("the 물 the")
    assert tokenizer.decode(ids) == "the  the"
    assert 0 in tokenizer.special_ids & set(ids)
    assert tokenizer.choose_engine(["the"]) == "tokenizers"


def test_older_files_say_by_a_boolean_that_a_space_is_put_before() -> None:
    definition = definition_of(xlm_roberta())
    for old, expected in ((True, True), (False, False)):
        definition["decoder"] = {"type": "Metaspace", "replacement": "▁", "add_prefix_space": old}
        assert read_spelling(definition).adds_space is expected


def test_entries_outside_the_byte_table_are_text() -> None:
    definition = json.loads(Tokenizer(models.BPE(vocab={"Ġa": 0, "한": 1}, merges=[])).to_str())
    spelling = read_spelling(definition | {"decoder": {"type": "ByteLevel"}})
    assert (spelling.to_bytes("Ġa"), spelling.to_bytes("한")) == (b" a", "한".encode())


def word_piece(definition: dict[str, Any]) -> None:
    definition["model"]["type"] = "WordPiece"


def no_decoder(definition: dict[str, Any]) -> None:
    definition["decoder"] = None


def end_of_word(definition: dict[str, Any]) -> None:
    definition["model"]["end_of_word_suffix"] = "</w>"


def strip_many(definition: dict[str, Any]) -> None:
    definition["decoder"] = {"type": "Strip", "content": "_", "start": 3, "stop": 0}


def replace_pattern(definition: dict[str, Any]) -> None:
    definition["decoder"] = {"type": "Replace", "pattern": {"Regex": "_+"}, "content": " "}


@pytest.mark.parametrize(
    "change", [word_piece, no_decoder, end_of_word, strip_many, replace_pattern]
)
def test_decoding_that_does_not_join_bytes_is_refused(
    change: Callable[[dict[str, Any]], None],
) -> None:
    definition = definition_of(gemma())
    change(definition)
    with pytest.raises(ArtifactKindError, match="do not stand for bytes"):
        read_spelling(definition)


def test_scores_and_options_are_part_of_the_identity() -> None:
    one, other = definition_of(xlm_roberta()), definition_of(xlm_roberta())
    assert identifying_parts(one) == identifying_parts(other)
    other["model"]["vocab"][-1][1] = -3.5
    assert identifying_parts(one) != identifying_parts(other)
    one, other = definition_of(gemma()), definition_of(gemma())
    other["model"]["byte_fallback"] = False
    assert identifying_parts(one) != identifying_parts(other)


def test_real_sentences_come_back() -> None:
    for make in (llama2, mistral, gemma):
        tokenizer = load(make())
        for texts in SENTENCES.values():
            for text in texts:
                assert tokenizer.decode(tokenizer.encode(text)) == text
