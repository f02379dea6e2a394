"""Letters and shingles: the same as the plain definition, on any text and any layout."""

from __future__ import annotations

import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.texts import HARD_TEXTS, SENTENCES

from hunmin.core.errors import InputError, TextEncodingError
from hunmin.corpus.dedup.letters import chunks, letters_of
from hunmin.corpus.dedup.shingles import (
    Unit,
    character_shingles,
    shingle,
    unit_of,
    units_of,
    word_shingles,
)
from hunmin.corpus.hashes import HashTable, Stretches, mix

ALL_TEXTS = [text for texts in SENTENCES.values() for text in texts] + HARD_TEXTS
any_texts = st.lists(
    st.text(st.sampled_from("가나다 abAB.\n\u200b한\u1112\u1161\u11abี文𝒜é\u0301\x00"), max_size=40),
    max_size=8,
)


def canonical(text: str) -> str:
    """The text after folding, one character at a time, with spaces where words are parted."""
    kept = []
    for character in unicodedata.normalize("NFC", text):
        if character.isspace():
            kept.append(" ")
        elif unicodedata.category(character) not in ("Cc", "Cf") and character != "\ufe0f":
            fold = character.casefold()
            kept.append(fold if len(fold) == 1 else character)
    return "".join(kept)


def plain_shingles(text: str, unit: Unit, width: int) -> list[tuple[str, ...]]:
    words = canonical(text).split()
    elements = words if unit == "words" else list("".join(words))
    if len(elements) < width:
        return [tuple(elements)]
    return [tuple(elements[at : at + width]) for at in range(len(elements) - width + 1)]


def assert_same_shingles(texts: list[str], unit: Unit, width: int) -> None:
    """Hashes are equal exactly where the pieces are, piece by piece."""
    make = word_shingles if unit == "words" else character_shingles
    found = make(letters_of(pa.array(texts, pa.string())), width)
    plain = [plain_shingles(text, unit, width) for text in texts]
    assert np.diff(found.offsets).tolist() == [len(pieces) for pieces in plain]
    names: dict[tuple[str, ...], int] = {}
    flat = [names.setdefault(piece, len(names)) for pieces in plain for piece in pieces]
    hashes: dict[int, int] = {}
    assert [hashes.setdefault(value, len(hashes)) for value in found.hashes.tolist()] == flat


@pytest.mark.parametrize("unit", ["words", "characters"])
@settings(max_examples=60, deadline=None)
@given(texts=any_texts, width=st.integers(1, 6))
def test_shingles_are_those_of_the_definition(unit: Unit, texts: list[str], width: int) -> None:
    assert_same_shingles(texts, unit, width)


@pytest.mark.parametrize("unit", ["words", "characters"])
def test_shingles_of_real_and_hard_texts(unit: Unit) -> None:
    assert_same_shingles(ALL_TEXTS, unit, 5)


@settings(max_examples=40, deadline=None)
@given(texts=any_texts, data=st.data())
def test_shingles_do_not_depend_on_how_the_column_lies(
    texts: list[str], data: st.DataObject
) -> None:
    units = data.draw(
        st.lists(st.sampled_from(["words", "characters"]), min_size=len(texts), max_size=len(texts))
    )
    whole = shingle(pa.array(texts, pa.string()), units)
    apart = [shingle(pa.array([text]), [unit]) for text, unit in zip(texts, units, strict=True)]
    for row, one in enumerate(apart):
        assert whole.hashes[whole.offsets[row] : whole.offsets[row + 1]].tolist() == (
            one.hashes.tolist()
        )
    sliced = pa.array(["앞", *texts, "뒤"], pa.large_string()).slice(1, len(texts))
    assert shingle(sliced, units).hashes.tolist() == whole.hashes.tolist()
    view = pa.array(texts, pa.string_view())
    assert shingle(view, units).hashes.tolist() == whole.hashes.tolist()


def test_large_columns_are_cut_into_chunks_without_a_trace() -> None:
    texts = pa.array(ALL_TEXTS * 20, pa.string())
    parts = list(chunks(texts, 300))
    assert len(parts) > 20
    assert pa.concat_arrays(parts).equals(texts)
    assert list(chunks(pa.array(["가" * 500]), 10)) == [pa.array(["가" * 500])]
    joined = np.concatenate([character_shingles(letters_of(part)).hashes for part in parts])
    assert joined.tolist() == shingle(texts, ["characters"] * len(texts)).hashes.tolist()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("한글 문서", unicodedata.normalize("NFD", "한글 문서")),
        ("한글문서", "한 글\u00a0문\n서"),
        ("soft\u00adhyphen zero\u200bwidth", "SoftHyphen ZeroWidth"),
        ("STRASSE Straße ΣΊΣΥΦΟΣ", "strasse stra\u00dfe σίσυφος"),
        ("IĞDIR İZMİR", "ığdır izmir"),
        ("क्\u200dष", "क्ष"),
        ("\x00끝\ufeff", "끝"),
    ],
)
def test_what_does_not_matter_between_copies(one: str, other: str) -> None:
    letters = letters_of(pa.array([one, other]))
    first, second = np.split(letters.hashes, [letters.offsets[1]])
    assert first.tolist() == second.tolist()


@pytest.mark.parametrize(
    ("one", "other"), [("1,000원", "2,000원"), ("가다", "거다"), ("पिता", "पीता")]
)
def test_what_does_matter(one: str, other: str) -> None:
    shingles = shingle(pa.array([one, other]), ["characters"] * 2)
    assert shingles.hashes[0] != shingles.hashes[1]


def test_hidden_characters_do_not_part_words() -> None:
    letters = letters_of(pa.array(["a \u200bb", "a\u200b b", "a\u200bb", "\u200ba"]))
    assert letters.after_space.tolist() == [True, True, True, True, True, False, True]


def test_texts_shorter_than_a_shingle_are_one() -> None:
    shingles = shingle(pa.array(["", "가", "나 다", "", "가 "]), ["characters"] * 5)
    assert len(shingles) == 5
    assert np.diff(shingles.offsets).tolist() == [1] * 5
    assert shingles.hashes[1] == shingles.hashes[4]
    assert shingles.hashes[0] == shingles.hashes[3]
    assert len(set(shingles.hashes.tolist())) == 3


@pytest.mark.parametrize(
    ("tag", "unit"),
    [
        *(
            (tag, "characters")
            for tag in ("ko", "ko-KR", "ja", "zh-Hant-TW", "th", "km", "lo", "my")
        ),
        *((tag, "characters") for tag in ("und", "mul", "bo", "yue", "ko-Hang")),
        *((tag, "words") for tag in ("en", "tr", "sw", "hi", "ar", "vi", "zh-Latn", "sr-Cyrl-RS")),
    ],
)
def test_the_unit_follows_from_the_tag(tag: str, unit: Unit) -> None:
    assert unit_of(tag) == unit


def test_units_of_a_column() -> None:
    assert units_of(pa.array(["ko", None, "en", "ko"])).tolist() == [
        "characters",
        "characters",
        "words",
        "characters",
    ]
    assert len(units_of(pa.array([], pa.string()))) == 0


def test_columns_that_hold_no_texts_are_refused() -> None:
    with pytest.raises(InputError, match="does not hold texts"):
        letters_of(pa.array([1, 2]))
    with pytest.raises(InputError, match="1 nulls in 2 rows"):
        letters_of(pa.array(["가", None]))
    with pytest.raises(InputError, match="width"):
        character_shingles(letters_of(pa.array(["가"])), 0)
    bad = pa.StringArray.from_buffers(
        1, pa.py_buffer(np.array([0, 2], np.int32).tobytes()), pa.py_buffer(b"a\xff")
    )
    with pytest.raises(TextEncodingError, match="at byte 1"):
        letters_of(bad)


@settings(max_examples=50, deadline=None)
@given(values=st.lists(st.integers(0, 2**64 - 1), max_size=30), starts=st.lists(st.integers(0, 29)))
def test_a_stretch_hashes_the_same_wherever_it_stands(values: list[int], starts: list[int]) -> None:
    array = np.array(values, np.uint64)
    moved = Stretches(np.concatenate([np.arange(7, dtype=np.uint64), array]))
    first = np.array([start for start in starts if start <= len(values)], np.int64)
    end = np.full_like(first, len(values))
    assert Stretches(array).hashes(first, end).tolist() == moved.hashes(first + 7, end + 7).tolist()


def test_long_sequences_have_powers_of_their_own() -> None:
    array = mix(np.arange((1 << 20) + 5, dtype=np.uint64))
    first, last = np.array([len(array) - 9]), np.array([len(array)])
    assert Stretches(array).hashes(first, last) == Stretches(array[-9:]).hashes(
        first * 0, first * 0 + 9
    )


@settings(max_examples=50, deadline=None)
@given(known=st.lists(st.integers(0, 40)), asked=st.lists(st.integers(0, 60)), spread=st.booleans())
def test_a_table_finds_what_is_there(known: list[int], asked: list[int], spread: bool) -> None:
    scale = np.uint64(2**58 if spread else 1)
    hashes = np.sort(np.array(known, np.uint64) * scale)
    places, first, last = HashTable(hashes).find(np.array(asked, np.uint64) * scale)
    assert places.tolist() == [at for at, value in enumerate(asked) if value in known]
    assert (last - first).tolist() == [known.count(asked[at]) for at in places]


@settings(max_examples=50, deadline=None)
@given(
    values=st.lists(st.integers(0, 3), max_size=40),
    width=st.integers(1, 6),
    known=st.lists(st.integers(0, 35), max_size=5),
)
def test_windows_are_found_as_their_hashes_are(
    values: list[int], width: int, known: list[int]
) -> None:
    stretches = Stretches(mix(np.array(values, np.uint64)))
    windows = stretches.windows(width)
    table = HashTable(np.sort(windows[[at for at in known if at < len(windows)]]))
    found, expected = table.find_windows(stretches, width), table.find(windows)
    assert [part.tolist() for part in found] == [part.tolist() for part in expected]


def test_scripts_of_a_tag_decide_the_unit() -> None:
    assert [unit_of(tag) for tag in ("zh-Latn", "en-Hans", "en-Jpan", "en-Lana", "en-Kore")] == [
        "words",
        *["characters"] * 4,
    ]
