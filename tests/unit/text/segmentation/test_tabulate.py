"""Tables of words: what an analyser says most often, as a table analyser reads it."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path

from hunmin.text.segmentation.boundaries import Boundaries, BoundaryKind
from hunmin.text.segmentation.segment import find_boundaries
from hunmin.text.segmentation.table import TableAnalyser
from hunmin.text.segmentation.tabulate import tabulate_words, write_table


class CutsAfterFirst:
    """Cuts 나는 after its first letter, but not in a line that ends in an exclamation mark."""

    identity = "cuts after first"
    needs_context = True

    def boundaries(self, texts: Sequence[str]) -> list[Boundaries]:
        return [
            Boundaries((text.index("나는") + 1,), (BoundaryKind.PARTICLE,))
            if "나는" in text and not text.endswith("!")
            else Boundaries()
            for text in texts
        ]


def test_a_word_is_cut_as_it_is_most_often(tmp_path: Path) -> None:
    texts = ["나는 새", "나는 집!", "또 나는 본다", "3번 새, 새!"]
    assert tabulate_words(texts, CutsAfterFirst()) == {
        "나는": (1,),
        "새": (),
        "또": (),
        "번": (),
        "본다": (),
        "집": (),
    }
    assert list(tabulate_words(texts, CutsAfterFirst(), min_count=2)) == ["나는", "새"]


def test_decomposed_words_are_the_same_words() -> None:
    texts = ["나는 새", unicodedata.normalize("NFD", "나는 새")]
    assert tabulate_words(texts, CutsAfterFirst(), min_count=2) == {"나는": (1,), "새": ()}


def test_a_table_gives_what_was_tabulated(tmp_path: Path) -> None:
    path = tmp_path / "ko.tsv"
    write_table({"나는": (1,), "스위치가": (3,), "새": ()}, path, ["Korean, by hand"])
    assert path.read_text(encoding="utf-8").splitlines() == [
        "# Korean, by hand",
        "나는\t나 는",
        "스위치가\t스위치 가",
        "새\t새",
    ]
    [found] = find_boundaries(TableAnalyser(path), ["나는 스위치가 새"])
    assert found.positions == (1, 6)
