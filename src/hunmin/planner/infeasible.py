"""What to say when nothing fits: the nearest strategies that would."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from hunmin.core.errors import InputError
from hunmin.core.units import format_bytes
from hunmin.planner.candidates import Fixed, Request, list_strategies
from hunmin.planner.fitting import Fitting
from hunmin.planner.strategy import Strategy

_MOST_DEVICES = 65_536
"""Nobody asks for a cluster beyond this."""


def refuse(request: Request, strategies: Iterable[Strategy]) -> InputError:
    """Explain that nothing fits, and what would.

    Args:
        request: What was asked for.
        strategies: All that it allows; none of them fits.

    Returns:
        The error, to be raised.
    """
    shape, cluster = request.shape, request.cluster
    memory = format_bytes(cluster.device.memory)
    room = Fitting(shape, cluster.device.memory)
    least = room.use(room.smallest(strategies)).needed
    return InputError(
        f"{shape.name} does not fit {cluster.devices} x {memory}",
        where=cluster.name,
        given=f"{format_bytes(least)} a device at the least",
        allowed=f"{memory} a device",
        hint="it needs " + ", or ".join(_ways_out(request)),
    )


def _ways_out(request: Request) -> Iterator[str]:
    yield from _instead(request)
    yield from _enough_nodes(request)
    yield "devices with more memory, a shorter context or a smaller model"


def _instead(request: Request) -> Iterator[str]:
    """Yield what of the fixed choices, left to the search, lets something fit."""
    for name, value in vars(request.fixed).items():
        found = _first_fitting(replace(request, fixed=replace(request.fixed, **{name: None})))
        if value is not None and found is not None:
            yield f"{_say(name)} {_value_of(found, name)} instead of {value}"


def _say(name: str) -> str:
    return name.replace("_", " ")


def _value_of(strategy: Strategy, name: str) -> object:
    return getattr(strategy.layout if hasattr(strategy.layout, name) else strategy, name)


def _enough_nodes(request: Request) -> Iterator[str]:
    """Yield the fewest nodes that hold the model, if possible with all that is fixed."""
    kept = replace(request.fixed, partition_group="world")
    for fixed in (kept, Fixed(partition_group="world")):
        nodes = _fewest_nodes(replace(request, fixed=fixed))
        if nodes is not None:
            devices = nodes * request.cluster.devices_per_node
            freely = "" if fixed == kept else ", with nothing fixed"
            yield f"at least {devices} devices in a partition group ({nodes} nodes{freely})"
            return


def _fewest_nodes(request: Request) -> int | None:
    most = _MOST_DEVICES // request.cluster.devices_per_node
    enough = request.cluster.nodes
    while not _fits_on(request, enough):
        if enough >= most:
            return None
        enough = min(2 * enough, most)
    too_few = max(request.cluster.nodes, enough // 2)
    while enough - too_few > 1:
        middle = (enough + too_few) // 2
        too_few, enough = (too_few, middle) if _fits_on(request, middle) else (middle, enough)
    return enough


def _fits_on(request: Request, nodes: int) -> bool:
    return _first_fitting(replace(request, cluster=request.cluster.with_nodes(nodes))) is not None


def _first_fitting(request: Request) -> Strategy | None:
    room = Fitting(request.shape, request.cluster.device.memory)
    return next((one for one in list_strategies(request) if room.fits(one)), None)
