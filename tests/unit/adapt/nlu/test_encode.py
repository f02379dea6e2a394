"""Each tag must stand for the right characters: else slots are cut where the speaker did not."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from hunmin.adapt.nlu.annotations import CharacterSpan
from hunmin.adapt.nlu.config import NluConfig, TextForm, read_config
from hunmin.adapt.nlu.encode import (
    EncodedUtterance,
    UtteranceEncoder,
    in_form,
    open_tokenizer,
    pad_batch,
    tag_places,
)
from hunmin.core.errors import (
    ArtifactKindError,
    CorruptArtifactError,
    InputError,
    TextEncodingError,
)

ALL = NluConfig(intents=("a",), slot_types=("room", "time"), prefix_ids=(0,), labelling="all")
FIRST = ALL.model_copy(update={"labelling": "first"})


def parts_tokenizer() -> Tokenizer:
    """Knows a few pieces of words, so that a test can say what the tokens are."""
    pieces = ["거실", "의", "불", "켜줘", "turn", "on", "the", "light", "日本", "は", "雨", "[UNK]"]
    continued = [f"##{piece}" for piece in pieces]
    vocabulary = {piece: number for number, piece in enumerate([*pieces, *continued])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer


def encoded(text: str, config: NluConfig = ALL, locale: str = "") -> EncodedUtterance:
    return UtteranceEncoder(parts_tokenizer(), config).encode([text], locale)[0]


def tagged(one: EncodedUtterance, spans: list[CharacterSpan]) -> list[int] | None:
    tags = tag_places(one, spans, ALL.tags)
    return None if tags is None else tags.tolist()


def pieces(one: EncodedUtterance) -> list[str]:
    return [one.text[start:end] for start, end in zip(one.starts, one.ends, strict=True)]


def test_every_token_carries_a_tag_or_only_the_first_of_each_word() -> None:
    assert pieces(encoded("거실의 불  켜줘")) == ["거실", "의", "불", "켜줘"]
    first = encoded("거실의 불  켜줘", FIRST)
    assert pieces(first) == ["거실의", "불", "켜줘"]
    assert first.places.tolist() == [1, 3, 4]


def test_a_token_of_several_words_stands_for_all_of_them() -> None:
    """In Japanese each character is a word."""
    one = encoded("日本は雨", FIRST, "ja-JP")
    assert pieces(one) == ["日本", "は", "雨"]


def test_a_slot_within_a_word_keeps_its_characters_only_where_all_tokens_have_tags() -> None:
    slot = [CharacterSpan("room", 0, 2)]
    assert tagged(encoded("거실의 불"), slot) == [1, 0, 0]
    assert tagged(encoded("거실의 불", FIRST), slot) == [1, 0]


def test_two_slots_on_one_place_cannot_be_tagged() -> None:
    slots = [CharacterSpan("room", 0, 2), CharacterSpan("time", 2, 3)]
    assert tagged(encoded("거실의 불"), slots) == [1, 3, 0]
    assert tagged(encoded("거실의 불", FIRST), slots) is None


def test_a_slot_of_several_tokens_begins_once() -> None:
    slot = [CharacterSpan("time", 0, 7)]
    assert tagged(encoded("turn on light"), slot) == [3, 4, 0]


def test_tokens_of_part_of_a_character_share_no_character(body_folder: Path) -> None:
    """Bytes of one character are several tokens; the first of them stands for it."""
    encoder = UtteranceEncoder.load(body_folder, ALL)
    one = encoder.encode(["쀍 👩‍👩‍👧 햏"])[0]
    assert "".join(pieces(one)) == "쀍👩‍👩‍👧햏"
    assert len(one.ids) > 1 + len(one.places)


@settings(max_examples=60, deadline=None)
@given(st.text(min_size=1, max_size=30).filter(lambda text: bool(text.strip())))
def test_places_cover_what_is_visible_once(text: str) -> None:
    encoder = UtteranceEncoder(_BYTES, ALL)
    try:
        one = encoder.encode([text])[0]
    except TextEncodingError:
        return
    assert (one.starts < one.ends).all()
    assert (one.starts[1:] >= one.ends[:-1]).all()
    assert not any(piece != piece.strip() for piece in pieces(one))
    covered = "".join(pieces(one))
    assert [c for c in covered if not c.isspace()] == [c for c in text if not c.isspace()]
    assert all(
        form_length == len(text)
        for form_length in (len(in_form(text, form)) for form in ("lower", "spoken"))
    )


def test_a_long_text_is_cut_and_says_where() -> None:
    config = ALL.model_copy(update={"max_tokens": 5, "suffix_ids": (1,)})
    one = encoded("turn on the light " * 2500, config)
    assert len(one.ids) == 5
    assert one.ids[0] == 0
    assert one.ids[-1] == 1
    assert one.truncated_at == len("turn on the")
    assert encoded("turn on the", config).truncated_at is None
    beyond = [CharacterSpan("room", 1000, 1004)]
    assert tagged(one, beyond) == [0, 0, 0]


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("written", "Don't, İ 1,000원! Ça 20%."),
        ("lower", "don't, i 1,000원! ça 20%."),
        ("spoken", "don't  i 1,000원  ça 20% "),
    ],
)
def test_forms_keep_every_character_in_its_place(form: TextForm, expected: str) -> None:
    assert in_form("Don't, İ 1,000원! Ça 20%.", form) == expected


def test_texts_are_encoded_in_the_form_of_the_model() -> None:
    spoken = encoded("Turn, on", ALL.model_copy(update={"text_form": "spoken"}))
    assert pieces(spoken) == ["Turn", "on"]
    assert spoken.ids.tolist() == encoded("turn on").ids.tolist()


def test_a_text_without_tokens_is_still_a_row() -> None:
    bare = ALL.model_copy(update={"text_form": "spoken", "prefix_ids": ()})
    one = encoded("!?", bare)
    assert (len(one.ids), len(one.places)) == (1, 0)
    assert len(encoded("!?", ALL.model_copy(update={"text_form": "spoken"})).ids) == 1


def test_a_batch_is_padded_on_its_right() -> None:
    ids, mask = pad_batch([encoded("turn on"), encoded("light")], pad_id=9)
    assert ids.tolist() == [[0, 4, 5], [0, 7, 9]]
    assert mask.tolist() == [[1, 1, 1], [1, 1, 0]]
    assert ids.dtype == mask.dtype == np.int64


def test_bad_texts_and_locales_are_refused() -> None:
    with pytest.raises(InputError, match="empty utterance"):
        encoded(" \n")
    with pytest.raises(TextEncodingError, match="surrogate"):
        encoded("a\ud800")
    with pytest.raises(InputError, match="xq"):
        encoded("turn on", locale="xq")


def test_damaged_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactKindError, match=r"no tokenizer\.json"):
        open_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(CorruptArtifactError, match="tokenizer cannot be read"):
        open_tokenizer(tmp_path)
    with pytest.raises(ArtifactKindError, match=r"no nlu\.json"):
        read_config(tmp_path)
    ALL.write(tmp_path)
    assert read_config(tmp_path) == ALL
    (tmp_path / "nlu.json").write_text('{"intents": []}')
    with pytest.raises(CorruptArtifactError, match=r"nlu\.json cannot be read"):
        read_config(tmp_path)


_BYTES = Tokenizer(models.BPE())
_BYTES.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
_ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
_BYTES.model = models.BPE({piece: number for number, piece in enumerate(_ALPHABET)}, [])
