"""What a recipe may say about batches, and what later stages change of it."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from hunmin.data.objectives.spec import ContinueSpec, DenoiseSpec
from hunmin.data.spec import DataChanges, DataSpec

ALEXATM = [{"kind": "denoise", "weight": 0.8}, {"kind": "continue", "weight": 0.2}]


def test_objectives_are_chosen_by_kind() -> None:
    spec = DataSpec.model_validate({"objectives": ALEXATM})
    assert spec.objectives == (DenoiseSpec(weight=0.8), ContinueSpec(weight=0.2))


def test_other_objectives_need_no_new_shards() -> None:
    assert "objectives" in DataSpec.model_fields
    assert "objectives" not in DataSpec.SHARD_KEYS


def test_changes_replace_what_they_name() -> None:
    first = DataSpec.model_validate({"weights": {"ko": 0.5}, "objectives": ALEXATM, "context": 64})
    changes = DataChanges.model_validate({"weights": {}, "objectives": [{"kind": "infill"}]})
    changed = changes.apply(first)
    assert changed.objectives is not None
    assert [objective.kind for objective in changed.objectives] == ["infill"]
    assert (changed.weights, changed.context) == ({}, 64)
    assert DataChanges().apply(first) == first
    assert DataChanges.model_validate({"objectives": None}).apply(first) == first


@pytest.mark.parametrize(
    ("objectives", "message"),
    [
        ([], "name at least one objective"),
        ([{"kind": "mask"}], "'masked', 'causal', 'prefix'"),
        ([{"kind": "masked", "mask_share": 0.8, "random_share": 0.3}], "more than 1 together"),
        ([{"kind": "continue", "shortest": 0.9}], "shortest is above longest"),
        ([{"kind": "denoise", "weight": 0}], "greater than 0"),
        ([{"kind": "spans", "mask_share": 0.5}], "Extra inputs"),
    ],
)
def test_bad_objectives(objectives: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        DataSpec.model_validate({"objectives": objectives})


def test_changes_are_checked_like_the_section() -> None:
    with pytest.raises(ValidationError, match="no groups to name"):
        DataChanges(weights={"ko": 1.0}).apply(DataSpec(mix_by="none"))
