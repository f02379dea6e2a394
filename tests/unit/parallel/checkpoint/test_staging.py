"""Parts of tensors as they are planned and copied."""

from __future__ import annotations

import torch

from hunmin.parallel.checkpoint.staging import Planner, StagingBuffers


def test_tensors_alike_have_names_of_their_own() -> None:
    tensors = {"a": torch.ones(2, 3), "b": torch.zeros(2, 3), "c": torch.zeros(2, 3).double()}
    planner = Planner()
    for _ in range(2):
        staged = planner.stage(tensors)
        assert [item.index.fqn for item in staged.items] == ["a", "b", "c"]
        assert staged.num_bytes() == 2 * 24 + 48
        types = [item.tensor_data.properties.dtype for item in staged.items]
        assert types == [torch.float32, torch.float32, torch.float64]
        assert staged.values["b"].data_ptr() == tensors["b"].data_ptr()


def test_a_tensor_of_another_shape_is_planned_anew() -> None:
    planner = Planner()
    planner.stage({"a": torch.ones(2, 3)})
    (item,) = planner.stage({"a": torch.ones(3, 3)}).items
    assert item.tensor_data.size == torch.Size([3, 3])
    assert item.index.offset == torch.Size([0, 0])


def test_copies_use_the_same_memory_again() -> None:
    live = {"a": torch.ones(4), "b": torch.tensor(1)}
    planner, buffers = Planner(), StagingBuffers()
    first = buffers.copy(planner.stage(live))
    live["a"].zero_()
    assert first.values["a"].tolist() == [1, 1, 1, 1]
    second = buffers.copy(planner.stage(live))
    assert second.values["a"].tolist() == [0, 0, 0, 0]
    assert second.values["a"].data_ptr() == first.values["a"].data_ptr()
    live["a"] = torch.ones(5)
    assert buffers.copy(planner.stage(live)).values["a"].tolist() == [1, 1, 1, 1, 1]
