"""Whether a recipe's layout of ranks is possible on the nodes that are asked for."""

from __future__ import annotations

from hunmin.core.errors import InputError
from hunmin.parallel.launch.request import Nodes
from hunmin.parallel.layout import derive_layout
from hunmin.parallel.spec import ParallelSpec


def check_layouts(parallel: ParallelSpec, nodes: Nodes, processes_per_node: int) -> None:
    """Derive the layout of a run for every number of nodes that it may have.

    Args:
        parallel: What the recipe says.
        nodes: Nodes of the run; an elastic one may have any number in between.
        processes_per_node: Ranks of a node.

    Raises:
        InputError: What the run would say on that many nodes.
    """
    for count in range(nodes.fewest, nodes.most + 1):
        try:
            derive_layout(
                parallel,
                world_size=count * processes_per_node,
                ranks_per_node=processes_per_node,
            )
        except InputError as error:
            raise InputError(
                error.problem,
                where=error.where,
                given=f"{error.given} (with {count} of {nodes} nodes)",
                allowed=error.allowed,
                hint=error.hint,
            ) from error
