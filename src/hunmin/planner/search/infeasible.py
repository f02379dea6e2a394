"""What to say when nothing fits: the nearest strategies that would."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from hunmin.core.errors import InputError
from hunmin.core.units import format_bytes
from hunmin.planner.memory import ways_to_fit
from hunmin.planner.search.candidates import Request, list_strategies
from hunmin.planner.search.fitting import Fitting
from hunmin.planner.strategy import Strategy


def refuse(request: Request, strategies: Iterable[Strategy]) -> InputError:
    """Explain that nothing fits, and what would.

    Args:
        request: What was asked for.
        strategies: All that it allows; none of them fits.

    Returns:
        The error, to be raised.
    """
    shape, cluster, habits = request.shape, request.cluster, request.software.habits
    memory = cluster.device.memory
    room = Fitting(shape, memory, habits)
    nearest = room.smallest(strategies)
    use = room.use(nearest)
    ways = [*ways_to_fit(shape, nearest, memory, habits), *_freed(request)]
    return InputError(
        f"{shape.name} does not fit {cluster.devices} x {format_bytes(memory)}",
        where=cluster.name,
        given=f"at the least {format_bytes(use.needed)} a device ({nearest.layout.describe()}; "
        f"{use.describe()})",
        allowed=f"{format_bytes(memory)} a device",
        hint="it needs " + ", or ".join([*ways, f"devices of {format_bytes(use.needed)}"]),
    )


def _freed(request: Request) -> Iterator[str]:
    """Yield that freeing parameters is enough, where they are to stay gathered."""
    if request.fixed.reshard_after_forward is not False:
        return
    frees = replace(request, fixed=replace(request.fixed, reshard_after_forward=True))
    room = Fitting(request.shape, request.cluster.device.memory, request.software.habits)
    if any(room.fits(strategy) for strategy in list_strategies(frees)):
        yield "parameters that are freed after the forward pass (reshard_after_forward)"
