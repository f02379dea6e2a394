"""The kernel: batches of any size and type, counts by type, plain errors."""

from __future__ import annotations

import pickle

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.corpus.privacy.test_masking import NUMBERS

from hunmin.core.errors import InputError
from hunmin.corpus.privacy import PersonalDataMasker, PrivacySpec, total_counts
from hunmin.corpus.privacy import kernel as kernel_module
from hunmin.corpus.privacy.scan import SCANS, gate
from hunmin.corpus.privacy.scoring import LabelledText

MASKER = PersonalDataMasker()


def batch_of(cases: list[LabelledText], kind: pa.DataType | None = None) -> pa.RecordBatch:
    return pa.record_batch(
        {
            "id": pa.array([str(row) for row in range(len(cases))]),
            "text": pa.array([case.text for case in cases], kind or pa.string()),
            "language": pa.array([case.language for case in cases]),
        }
    )


def test_counts_are_a_struct_of_all_types_of_the_spec(cases: list[LabelledText]) -> None:
    batch = MASKER(batch_of(cases))
    assert batch.schema.names == ["id", "text", "language", "personal_data"]
    counts = batch["personal_data"]
    assert [field.name for field in counts.type] == list(PrivacySpec().types)
    assert counts.null_count == 0
    for name, total in total_counts(counts).items():
        token = f"<|{name}|>"
        assert total == sum(text.count(token) for text in batch["text"].to_pylist()), name
        assert total > 0


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_result_does_not_depend_on_the_batches(
    kind: pa.DataType, cases: list[LabelledText], monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = batch_of(cases, kind)
    whole = MASKER(batch)
    assert whole.schema.field("text").type == kind
    for size in (1, 7, 100):
        parts = [MASKER(batch.slice(start, size)) for start in range(0, len(batch), size)]
        assert pa.Table.from_batches(parts) == pa.Table.from_batches([whole])
    monkeypatch.setattr(kernel_module, "_GATE_BYTES", 0)
    assert MASKER(batch) == whole


def test_empty_batches_nulls_and_missing_languages() -> None:
    texts = pa.array([None, "", "전화 010-2837-4651", None], pa.string())
    batch = MASKER(pa.record_batch({"text": texts}))
    assert batch["text"].to_pylist() == [None, "", "전화 <|phone|>", None]
    assert batch["personal_data"].field("phone").to_pylist() == [0, 0, 1, 0]
    empty = MASKER(batch.slice(0, 0))
    assert empty.schema == batch.schema
    assert total_counts(empty["personal_data"])["phone"] == 0


def test_nulls_pass_the_gate_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_module, "_GATE_BYTES", 0)
    texts = pa.array([None, "전화 010-2837-4651", None], pa.string())
    languages = pa.array([None, None, "ko"], pa.string())
    batch = MASKER(pa.record_batch({"text": texts, "language": languages}))
    assert batch["text"].to_pylist() == [None, "전화 <|phone|>", None]


def test_columns_without_personal_data_are_not_copied() -> None:
    texts = pa.array(["가나다", "2019년 8월 1일, 1,234,567원"])
    masked, counts = MASKER.mask_array(texts)
    assert masked is texts
    assert set(total_counts(counts).values()) == {0}


def test_no_types_mask_nothing() -> None:
    masker = PersonalDataMasker(PrivacySpec(types=()))
    batch = masker(pa.record_batch({"text": pa.array(["010-2837-4651"])}))
    assert batch["text"].to_pylist() == ["010-2837-4651"]
    assert total_counts(batch["personal_data"]) == {}


def test_masker_can_be_sent_to_workers(cases: list[LabelledText]) -> None:
    batch = batch_of(cases)
    masker = PersonalDataMasker(PrivacySpec(types=("email",)), counts_column="found")
    assert pickle.loads(pickle.dumps(masker)) == masker
    assert pickle.loads(pickle.dumps(masker))(batch) == masker(batch)
    assert [field.name for field in masker(batch)["found"].type] == ["email"]


def test_missing_column_is_named() -> None:
    with pytest.raises(InputError, match="no column of texts") as error:
        MASKER(pa.record_batch({"texts": pa.array(["가"])}))
    assert "Did you mean 'texts'" in str(error.value)


def test_column_of_another_type_is_named() -> None:
    with pytest.raises(InputError, match="holds something else") as error:
        MASKER(pa.record_batch({"text": pa.array([1, 2])}))
    assert "int64" in str(error.value)


@settings(max_examples=200, deadline=None)
@given(text=NUMBERS | st.text(max_size=60))
def test_gate_lets_every_candidate_through(text: str) -> None:
    if any(True for scan in SCANS.values() for _ in scan(text)):
        assert pc.match_substring_regex(pa.array([text], pa.string()), gate()).to_pylist() == [True]
