"""Segmentation tables: formats, alignment, look-up, words the table lacks."""

from __future__ import annotations

import gzip
import itertools
import pickle
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from hunmin.core.errors import InputError, MissingInputError
from hunmin.text.segmentation.alignment import align_segments
from hunmin.text.segmentation.gold import read_gold
from hunmin.text.segmentation.scoring import score_boundaries
from hunmin.text.segmentation.table import TableAnalyser
from hunmin.text.segmentation.words import word_pattern


def cut(word: str, positions: tuple[int, ...]) -> str:
    ends = (0, *positions, len(word))
    return "|".join(word[a:b] for a, b in itertools.pairwise(ends))


def table(tmp_path: Path, *rows: str) -> TableAnalyser:
    path = tmp_path / "table.tsv"
    path.write_text("\n".join(rows), encoding="utf-8")
    return TableAnalyser(path)


@pytest.mark.parametrize(
    ("segments", "cut_word"),
    [
        ("turn ing", "turn|ing"),
        ("Haus er", "HÄUS|ER"),
        ("ingenuity s", "ingenuitie|s"),
        ("run ing", "runn|ing"),
        ("nominate ed", "nominat|ed"),
        ("relate ive", "relat|ive"),
        ("opera ate ion", "oper|at|ion"),
        ("sub neuron al", "sub|neur|al"),
        ("ad rest ed", "ar|rest|ed"),
        ("тарах аах ж", "тар|аа|ж"),
        ("дуу аас", "дуун|аас"),
        ("buy ed", "bought"),
        ("xy z", "abcdef"),
        ("word", "word"),
    ],
)
def test_segments_are_aligned_with_the_written_word(segments: str, cut_word: str) -> None:
    word = cut_word.replace("|", "")
    assert cut(word, align_segments(word, segments.split())) == cut_word


@given(
    st.text(alphabet="abcß각İ", min_size=1, max_size=9),
    st.lists(st.text(alphabet="abcßS각i", max_size=4), max_size=4),
)
def test_alignments_lie_within_the_word_in_order(word: str, segments: list[str]) -> None:
    found = align_segments(word, segments)
    assert list(found) == sorted(set(found))
    assert all(0 < position < len(word) for position in found)


def test_long_garbage_is_not_aligned() -> None:
    assert align_segments("a" * 5000, ["b" * 5000, "c"]) == ()


@pytest.mark.parametrize(
    ("row", "word", "expected"),
    [
        ("strides\tstride @@s\t100", "strides", (6,)),
        ("strides\tstride @@s", "strides", (6,)),
        ("strides\tstride s", "strides", (6,)),
        ("нэр\tнэрээс\tN|ABL;SG\tнэр|ээс", "нэрээс", (3,)),
        ("glad\tgladly\tJ\tR\tly\tsuffix", "gladly", (4,)),
        ("meter\tkilometer\tN\tN\tkilo\tprefix", "kilometer", (4,)),
        ("They strided\tThey stride @@ed", "strided", (5,)),
    ],
)
def test_formats_are_told_by_their_columns(
    tmp_path: Path, row: str, word: str, expected: tuple[int, ...]
) -> None:
    assert table(tmp_path, "# a comment", "", row).cuts(word) == expected


def test_unsegmented_rows_of_unimorph_are_left_out(tmp_path: Path) -> None:
    analyser = table(tmp_path, "go\twent\tV;PST\t-", "go\tgoes\tV;3;SG\tgo|es")
    assert "went" not in analyser
    assert len(analyser) == 1


def test_case_does_not_matter_and_the_word_as_written_comes_first(tmp_path: Path) -> None:
    analyser = table(tmp_path, "turning\tturn @@ing", "Polish\tPol @@ish", "polish\tpolish")
    assert analyser.cuts("Turning") == (4,)
    assert analyser.cuts("TURNING") == (4,)
    assert analyser.cuts("Polish") == (3,)
    assert analyser.cuts("polish") == ()
    assert analyser.cuts("POLISH") == ()


def test_words_are_found_in_running_text(tmp_path: Path) -> None:
    analyser = table(tmp_path, "turning\tturn @@ing")
    (found,) = analyser.boundaries(["3 turning,\tTurning😀turning."])
    assert found.positions == (6, 15, 23)
    assert not analyser.needs_context


def test_unknown_words_are_cut_like_similar_ones(tmp_path: Path) -> None:
    words = ["walk", "talk", "jump", "look", "spark"]
    stems = [f"{word}\t{word}" for word in words]
    analyser = table(tmp_path, *stems, *[f"{word}ing\t{word} @@ing" for word in words])
    assert cut("blinking", analyser.cuts("blinking")) == "blink|ing"
    assert analyser.cuts("zzz") == ()


def test_packed_tables_are_read(tmp_path: Path) -> None:
    for suffix, pack in ((".gz", gzip.compress), (".zst", zstandard.compress)):
        path = tmp_path / f"table.tsv{suffix}"
        path.write_bytes(pack(b"strides\tstride @@s\n"))
        assert TableAnalyser(path).cuts("strides") == (6,)


def test_identity_follows_the_content_and_a_copy_works_the_same(tmp_path: Path) -> None:
    first = table(tmp_path, "strides\tstride @@s")
    identity = first.identity
    copy = pickle.loads(pickle.dumps(first))
    assert copy.identity == identity
    assert copy.cuts("strides") == (6,)
    assert table(tmp_path, "strides\tstrides").identity != identity


def test_a_file_without_segments_says_what_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no segmentation[\s\S]*line 2[\s\S]*|line 2") as error:
        table(tmp_path, "go\tgoes\tV;3\tgo|es", "go\tgoes\tV;3;SG;PRS")
    assert "UniMorph files with three columns" in str(error.value)
    with pytest.raises(InputError, match="no segmented word in this table"):
        table(tmp_path, "", "# nothing")
    with pytest.raises(MissingInputError, match=r"Did you mean 'table\.tsv'"):
        TableAnalyser(tmp_path / "tabel.tsv")
    with pytest.raises(InputError, match="a file is wanted"):
        TableAnalyser(tmp_path)


def test_words_of_any_script_are_whole() -> None:
    text = "सभी मनुष्यों ภาษาไทย می‌خواهم école don't a1b"
    assert word_pattern().findall(text) == [
        *("सभी", "मनुष्यों", "ภาษาไทย", "می‌خواهم", "école"),
        *("don", "t", "a", "b"),
    ]


@pytest.mark.parametrize(
    ("known", "held_out", "least"),
    [
        ("ces.word.train", "ces.sentence.dev", 0.93),
        ("mon.word.train", "mon.sentence.dev", 0.60),
    ],
)
def test_held_out_text_is_segmented_well(
    shared_data: Path, known: str, held_out: str, least: float
) -> None:
    folder = shared_data / "sigmorphon_segmentation"
    analyser = TableAnalyser(folder / f"{known}.tsv.zst")
    gold = read_gold(folder / f"{held_out}.tsv.zst").texts
    found = analyser.boundaries([text.text for text in gold])
    scores = score_boundaries(
        (text, result.positions) for text, result in zip(gold, found, strict=True)
    )
    assert scores.f1 > least
