"""A request that every test changes a little."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hunmin.parallel.launch import LaunchRequest, Nodes, TrainCommand


@pytest.fixture
def make_request() -> Callable[..., LaunchRequest]:
    def make(nodes: str = "4", **changes: object) -> LaunchRequest:
        command = TrainCommand("recipes/ko.yaml", ("model.size=1B",), "/shared/runs/ko")
        given: dict[str, object] = {
            "name": "ko",
            "command": command,
            "nodes": Nodes.parse(nodes),
            "gpus_per_node": 8,
            "processes_per_node": 8,
        }
        return LaunchRequest(**{**given, **changes})  # type: ignore[arg-type]

    return make
