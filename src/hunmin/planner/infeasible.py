"""What to say when nothing fits: the nearest strategies that would."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from hunmin.core.errors import InputError
from hunmin.core.units import format_bytes
from hunmin.planner.candidates import Request, list_strategies
from hunmin.planner.memory import memory_use
from hunmin.planner.strategy import Strategy

_LARGEST_GROUP = 65_536
"""Devices beyond which nobody asks how many it would take."""


def refuse(request: Request, strategies: Iterable[Strategy]) -> InputError:
    """Explain that nothing fits, and what would.

    Args:
        request: What was asked for.
        strategies: All that it allows; none of them fits.

    Returns:
        The error, to be raised.
    """
    shape, cluster = request.shape, request.cluster
    uses = (memory_use(shape, strategy).total for strategy in strategies)
    return InputError(
        f"{shape.name} does not fit {cluster.devices} x {format_bytes(cluster.device.memory)}",
        where=cluster.name,
        given=f"{format_bytes(min(uses))} a device at the least",
        allowed=f"{format_bytes(cluster.device.memory)} a device",
        hint="it needs " + ", or ".join(_ways_out(request)),
    )


def _ways_out(request: Request) -> Iterator[str]:
    yield from _freed(request)
    nodes = _enough_nodes(request)
    if nodes is not None:
        devices = nodes * request.cluster.devices_per_node
        yield f"at least {devices} devices in a partition group ({nodes} nodes)"
    yield "devices with more memory, a shorter context, or a smaller model"


def _freed(request: Request) -> Iterator[str]:
    """Yield what of the fixed choices, left to the search, lets something fit."""
    for name, value in vars(request.fixed).items():
        if value is None:
            continue
        fixed = replace(request.fixed, **{name: None})
        found = _first_fitting(replace(request, fixed=fixed))
        if found is not None:
            yield f"{name} {_value_of(found, name)} instead of {value}"


def _value_of(strategy: Strategy, name: str) -> object:
    return getattr(strategy.layout if hasattr(strategy.layout, name) else strategy, name)


def _first_fitting(request: Request) -> Strategy | None:
    memory = request.cluster.device.memory
    fitting = (s for s in list_strategies(request) if memory_use(request.shape, s).fits(memory))
    return next(fitting, None)


def _enough_nodes(request: Request) -> int | None:
    """Return the fewest nodes, in powers of two, on which something fits."""
    nodes = 1
    while nodes * request.cluster.devices_per_node <= _LARGEST_GROUP:
        if nodes > request.cluster.nodes and _fits_on(request, nodes):
            return nodes
        nodes *= 2
    return None


def _fits_on(request: Request, nodes: int) -> bool:
    """Try the least memory: one group, one row, everything computed again."""
    cluster = request.cluster.with_nodes(nodes)
    fixed = replace(request.fixed, partition_group="world")
    larger = replace(request, cluster=cluster, fixed=fixed)
    return _first_fitting(larger) is not None
