import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunmin.adapt.nlu.annotations import (
    CharacterSpan,
    Place,
    align_spans,
    parse_annotation,
    write_annotation,
)
from hunmin.adapt.nlu.utterances import make_utterance, word_offsets
from hunmin.core.errors import InputError

GOLDEN = [
    "wake me up at [time : nine am] on [date : friday]",
    "[date : 내일] [time : 아침 아홉 시] 에 깨워 줘",
    "[house_place : 거실]의 불 켜줘",
    "[person : mary][person : john] to the list",
    "今日[weather_descriptor : の天気]は",
    "no slots at all",
    "a back\\slash and a colon : stay",
    "[app_name : spotify]",
]


@pytest.mark.parametrize("annotated", GOLDEN)
def test_an_annotation_is_written_back_exactly(annotated: str) -> None:
    text, spans = parse_annotation(annotated)
    assert write_annotation(text, spans) == annotated


def test_spans_are_characters_of_the_text() -> None:
    text, spans = parse_annotation("[date : 내일] [time : 아침 아홉 시]에 깨워 줘")
    assert text == "내일 아침 아홉 시에 깨워 줘"
    assert spans == [CharacterSpan("date", 0, 2), CharacterSpan("time", 3, 10)]
    assert text[3:10] == "아침 아홉 시"


def test_adjacent_slots_of_one_type_stay_apart() -> None:
    text, spans = parse_annotation("call [person : mary] [person : john]")
    assert [text[span.start : span.end] for span in spans] == ["mary", "john"]


def test_whitespace_around_a_value_is_outside_of_the_slot() -> None:
    text, spans = parse_annotation("at [ time :  nine  ] ok")
    assert (text, spans) == ("at nine   ok", [CharacterSpan("time", 3, 7)])


@pytest.mark.parametrize(
    ("annotated", "text", "values"),
    [
        (r"play \[live\] [song : a \[b\] c]", "play [live] a [b] c", ["a [b] c"]),
        (r"open [path : c:\\] now", "open c:\\ now", ["c:\\"]),
        (r"say \\\[ok", r"say \[ok", []),
    ],
)
def test_escaped_brackets_belong_to_the_text(annotated: str, text: str, values: list[str]) -> None:
    plain, spans = parse_annotation(annotated)
    assert plain == text
    assert [plain[span.start : span.end] for span in spans] == values
    assert write_annotation(plain, spans) == annotated


@pytest.mark.parametrize(
    ("annotated", "problem", "column"),
    [
        ("play song [live] now", "opens no slot", 11),
        ("play song] now", "no slot is open", 10),
        ("wake me [time : nine", "'time' is never closed", 9),
        ("wake me [time : nine [date : friday]", "inside another slot", 22),
        ("wake me [time : ] now", "'time' is empty", 9),
        ("wake me [time :] now", "'time' is empty", 9),
        ("wake me [ : nine] now", "opens no slot", 9),
    ],
)
def test_malformed_annotations_name_line_column_and_record(
    annotated: str, problem: str, column: int
) -> None:
    place = Place("ko-KR.jsonl", 7, "4711")
    with pytest.raises(InputError, match=problem) as caught:
        parse_annotation(annotated, place)
    assert f"ko-KR.jsonl:7:{column} (record 4711)" in str(caught.value)
    assert caught.value.allowed
    assert caught.value.hint


def test_other_text_in_the_annotation_is_refused_where_it_begins() -> None:
    with pytest.raises(InputError, match="first at character 12") as caught:
        make_utterance(
            id="1",
            locale="en-US",
            intent="x",
            utt="wake me at nine",
            annot_utt="wake me at [time : ten]",
            place=Place("en-US.jsonl", 3, "1"),
        )
    assert "en-US.jsonl:3:12 (record 1)" in str(caught.value)


@pytest.mark.parametrize(
    ("utt", "annotated", "column"),
    [("at  nine", "at [time : ten]", 5), ("at nine", "at", 4), ("at", "at [time : ten]", 3)],
)
def test_the_first_difference_is_no_whitespace(utt: str, annotated: str, column: int) -> None:
    plain, spans = parse_annotation(annotated)
    with pytest.raises(InputError, match=f"character {column} of utt"):
        align_spans(utt, plain, spans)


def test_other_whitespace_in_the_annotation_is_aligned() -> None:
    plain, spans = parse_annotation("今日 [place : 東京 都] の")
    moved = align_spans("今日東京都の", plain, spans)
    assert moved == [CharacterSpan("place", 2, 5)]
    plain, spans = parse_annotation("at [time :  nine ][date : today ]ok")
    assert align_spans("at nine today ok", plain, spans) == [
        CharacterSpan("time", 3, 7),
        CharacterSpan("date", 8, 13),
    ]


@pytest.mark.parametrize(
    "spans",
    [
        [CharacterSpan("a b", 0, 1)],
        [CharacterSpan("a", 0, 0)],
        [CharacterSpan("a", 0, 99)],
        [CharacterSpan("a", 0, 3), CharacterSpan("a", 2, 3)],
        [CharacterSpan("a", 3, 5)],
    ],
)
def test_slots_that_cannot_be_written_are_refused(spans: list[CharacterSpan]) -> None:
    with pytest.raises(InputError, match="slot"):
        write_annotation("one two", spans)


PIECES = st.text(alphabet="ab\\[]: 한", max_size=6)
VALUES = PIECES.map(str.strip).filter(bool)


@given(st.lists(st.tuples(PIECES, VALUES), max_size=4), PIECES)
def test_any_text_and_slots_come_back(slots: list[tuple[str, str]], rest: str) -> None:
    text, spans = "", []
    for before, value in slots:
        start = len(text) + len(before)
        text += before + value
        spans.append(CharacterSpan("t", start, start + len(value)))
    text += rest
    assert parse_annotation(write_annotation(text, spans)) == (text, spans)


def test_words_and_slots_on_them() -> None:
    made = make_utterance(
        id="1", locale="ko-KR", intent="x", utt="거실의 불 켜줘",
        annot_utt="[house_place : 거실]의 [device : 불] 켜줘",
    )  # fmt: skip
    assert made.words == ("거실의", "불", "켜줘")
    assert made.offsets == ((0, 3), (4, 5), (6, 8))
    assert [(slot.type, slot.start, slot.end) for slot in made.slots] == [
        ("house_place", 0, 1),
        ("device", 1, 2),
    ]
    assert made.spans()[0] == CharacterSpan("house_place", 0, 2)


@pytest.mark.parametrize(
    ("locale", "annotated", "words"),
    [
        ("de-DE", "die Haus[device : tür] auf", [(1, 2)]),
        ("ja-JP", "今日[weather : の天]気[date : は]", [(2, 4), (5, 6)]),
        ("de-DE", "den [name : Floyd][media : podcast] ab", [(1, 2), (1, 2)]),
    ],
)
def test_a_slot_has_the_words_that_it_touches(
    locale: str, annotated: str, words: list[tuple[int, int]]
) -> None:
    plain, _ = parse_annotation(annotated)
    made = make_utterance(id="1", locale=locale, intent="x", utt=plain, annot_utt=annotated)
    assert [(slot.start, slot.end) for slot in made.slots] == words


def test_every_character_is_a_word_in_japanese_and_chinese() -> None:
    assert word_offsets("今 日は", "ja-JP") == [(0, 1), (2, 3), (3, 4)]
    assert len(word_offsets("打开灯", "zh-TW")) == 3
    assert len(word_offsets("불 켜줘", "ko-KR")) == 2


@pytest.mark.parametrize("utt", ["", "  \n"])
def test_an_empty_utterance_is_refused(utt: str) -> None:
    with pytest.raises(InputError, match="empty utterance"):
        make_utterance(id="1", locale="ko", intent="x", utt=utt)


def test_a_long_utterance_is_fine() -> None:
    text = "[n : 불] " * 2500
    made = make_utterance(
        id="1", locale="ko", intent="x", utt=parse_annotation(text)[0], annot_utt=text
    )
    assert len(made.slots) == 2500
