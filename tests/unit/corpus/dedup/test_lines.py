"""Repeated lines: counted once a document, taken out, and told."""

from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hunmin.core.errors import InputError
from hunmin.corpus.dedup.lines import (
    LINE_COUNT_SCHEMA,
    REPEATED_LINES,
    LineRule,
    RemoveRepeatedLines,
    line_counts,
    line_examples,
    merge_line_counts,
    repeated_lines,
)

RULE = LineRule(max_documents=2, min_letters=3)
FRAME = "로그인 | 회원가입"


def batch_of(texts: list[str]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array(texts, pa.string())], names=["text"])


def cleaned(texts: list[str], rule: LineRule = RULE) -> pa.RecordBatch:
    batch = batch_of(texts)
    repeated = repeated_lines(merge_line_counts([line_counts(batch, rule)]), rule)
    return RemoveRepeatedLines(repeated["line"].to_numpy(), rule)(batch)


def test_a_frame_goes_and_the_rest_stays_byte_for_byte() -> None:
    pages = [f"{FRAME}\n문서 {number}의 본문입니다.\n\n  들여쓴 줄 {number}" for number in range(3)]
    found = cleaned([*pages, "  frame이 없는 글\n"])
    assert found["text"].to_pylist() == [
        *(f"문서 {number}의 본문입니다.\n\n  들여쓴 줄 {number}" for number in range(3)),
        "  frame이 없는 글\n",
    ]
    assert found["removed_characters"].to_pylist() == [len(FRAME) + 1] * 3 + [0]
    assert found["reason"].null_count == 4


def test_spelling_and_space_do_not_make_another_line() -> None:
    found = cleaned(
        ["Copyright  ACME\n하나하나", "copyright acme \n둘둘둘둘", "COPYRIGHT ACME\n셋셋셋셋"]
    )
    assert found["text"].to_pylist() == ["하나하나", "둘둘둘둘", "셋셋셋셋"]


def test_a_line_counts_once_a_document() -> None:
    texts = ["후렴입니다\n절\n후렴입니다\n후렴입니다", "후렴입니다"]
    assert line_counts(batch_of(texts), RULE)["documents"].to_pylist() == [2]
    assert cleaned(texts)["text"].to_pylist() == texts


def test_short_lines_stay() -> None:
    texts = ["}\n--\n끝\n\n"] * 5
    assert cleaned(texts)["text"].to_pylist() == texts


def test_a_document_of_frames_gets_a_reason() -> None:
    found = cleaned([FRAME] * 3 + [f"{FRAME}\n예."])
    assert found["text"].to_pylist() == ["", "", "", "예."]
    assert found["reason"].to_pylist() == [REPEATED_LINES] * 4
    assert (
        cleaned([FRAME] * 3, LineRule(max_documents=2, min_share_left=0))["reason"].null_count == 3
    )


def test_an_older_reason_stays() -> None:
    batch = batch_of([FRAME] * 3).append_column("reason", pa.array(["too short", None, None]))
    lines = line_counts(batch, RULE)["line"].to_numpy()
    found = RemoveRepeatedLines(lines, RULE)(batch)
    assert found["reason"].to_pylist() == ["too short", REPEATED_LINES, REPEATED_LINES]


def test_paragraphs() -> None:
    notice = "이 글의 저작권은\n글쓴이에게 있습니다."
    texts = [
        f"{number}번째 글의\n첫 문단\n \n{notice}\n\n\n끝 문단 {number}" for number in range(3)
    ]
    rule = LineRule(unit="paragraph", max_documents=2)
    assert cleaned(texts, rule)["text"].to_pylist() == [
        f"{number}번째 글의\n첫 문단\n\n끝 문단 {number}" for number in range(3)
    ]
    assert cleaned(texts, RULE)["text"].to_pylist()[0] == "0번째 글의\n \n\n\n끝 문단 0"


def test_examples_show_the_most_frequent_first() -> None:
    texts = [f"{FRAME}\n꼬리말입니다\n글 {number}" for number in range(4)] + ["꼬리말 입니다"]
    batch = batch_of(texts)
    repeated = repeated_lines(merge_line_counts([line_counts(batch, RULE)]), RULE)
    assert repeated["documents"].to_pylist() == [5, 4]
    shown = line_examples(batch, repeated["line"].to_numpy(), RULE)
    names = dict(zip(shown["line"].to_pylist(), shown["example"].to_pylist(), strict=True))
    assert [names[line] for line in repeated["line"].to_pylist()] == ["꼬리말 입니다", FRAME]
    assert line_examples(batch.slice(0, 0), repeated["line"].to_numpy(), RULE).num_rows == 0


@settings(max_examples=50, deadline=None)
@given(
    texts=st.lists(
        st.lists(st.sampled_from(["가나다라", "abcd", "x", "", "마바사아 "]), max_size=4).map(
            "\n".join
        ),
        max_size=10,
    ),
    cut=st.integers(1, 4),
    data=st.data(),
)
def test_neither_order_nor_batches_matter(texts: list[str], cut: int, data: st.DataObject) -> None:
    shuffled = batch_of(data.draw(st.permutations(texts)))
    parts = [line_counts(shuffled.slice(at, cut), RULE) for at in range(0, len(texts), cut)]
    counts = merge_line_counts(parts)
    assert counts.schema == LINE_COUNT_SCHEMA
    assert counts.equals(merge_line_counts([line_counts(batch_of(texts), RULE)]))
    plain = Counter(
        line for text in texts for line in {line.strip() for line in text.split("\n")}
        if len(line) >= 3
    )  # fmt: skip
    assert sorted(counts["documents"].to_pylist()) == sorted(plain.values())
    kernel = RemoveRepeatedLines(repeated_lines(counts, RULE)["line"].to_numpy(), RULE)
    whole = kernel(batch_of(texts))["text"].to_pylist()
    assert whole == [kernel(batch_of([text]))["text"][0].as_py() for text in texts]


def test_kernels_travel_and_take_any_layout() -> None:
    lines = line_counts(batch_of([FRAME] * 3), RULE)["line"].to_numpy()
    kernel: RemoveRepeatedLines = pickle.loads(pickle.dumps(RemoveRepeatedLines(lines, RULE)))
    large = pa.RecordBatch.from_arrays([pa.array([f"{FRAME}\n본문"], pa.large_string())], ["text"])
    found = kernel(large)
    assert found["text"].to_pylist() == ["본문"]
    assert found["text"].type == pa.large_string()
    nothing = RemoveRepeatedLines(np.zeros(0, np.uint64), RULE)
    assert nothing(large)["text"].equals(large["text"])
    assert merge_line_counts([]).num_rows == 0


def test_impossible_rules_are_refused() -> None:
    with pytest.raises(InputError, match="line, paragraph"):
        LineRule(unit="sentence")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="max_documents 0"):
        LineRule(max_documents=0)


def test_real_documents_lose_their_frame(korean_documents: pa.Table, shared_data: Path) -> None:
    rule = LineRule(max_documents=50)
    pages = [f"{FRAME}\n{text}\nCopyright © 한글" for text in korean_documents["text"].to_pylist()]
    batches = [batch_of(pages[at : at + 300]) for at in range(0, len(pages), 300)]
    counts = merge_line_counts(line_counts(batch, rule) for batch in batches)
    kernel = RemoveRepeatedLines(repeated_lines(counts, rule)["line"].to_numpy(), rule)
    cleaned_pages = pa.Table.from_batches(map(kernel, batches))
    assert pc.min(cleaned_pages["removed_characters"]).as_py() >= len(FRAME) + 14
    assert not any(FRAME in text for text in cleaned_pages["text"].to_pylist())
    unframed = [text.strip() for text in korean_documents["text"].to_pylist()]
    same = sum(a == b for a, b in zip(cleaned_pages["text"].to_pylist(), unframed, strict=True))
    assert same >= 0.99 * len(unframed)
