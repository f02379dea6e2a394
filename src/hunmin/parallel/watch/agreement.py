"""Before any model is built: do the ranks agree on what they are about to do, and where?

Ranks that differ in a recipe, a version or a layout hang or, worse, train something else; the same
holds for ranks of a group that lie on other nodes than the layout says, and for run folders that
are not the same folder. Each check is collective and raises the same error on every rank.
"""

from __future__ import annotations

import itertools
import json
import os
import secrets
import socket
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hunmin.core.environment import package_versions, source_commit
from hunmin.core.errors import ArtifactMismatchError, InputError
from hunmin.core.hashing import stable_hash
from hunmin.core.logs import get_logger
from hunmin.parallel.watch.heartbeat import node_number
from hunmin.parallel.world import World

logger = get_logger(__name__)

MOST_CLOCK_SECONDS = 5.0
"""Clocks that differ by more make dates in logs and records misleading."""
FOLDER_SECONDS = 60.0
"""How long a shared disk may take until other nodes see a new file; NFS caches for a minute."""
_ABSENT = "(absent)"


@dataclass(frozen=True)
class Place:
    """Where a rank runs.

    Args:
        rank: Its number.
        host: Name of the machine.
        node: Number of the node, as torchrun counts them; emulated nodes share a host.
        clock: Seconds since 1970 by the machine's clock.
    """

    rank: int
    host: str
    node: int
    clock: float

    @property
    def name(self) -> str:
        """The node, for people."""
        return f"{self.host} (node {self.node})"


def gather_places(world: World) -> list[Place]:
    """Return where each rank runs; collective."""
    world.barrier()  # so that clocks are read at about the same moment
    place = Place(world.rank, socket.gethostname(), node_number(world), time.time())
    places: list[Place] = world.gather(place)
    return places


# -- recipes and versions --------------------------------------------------------------------------


def environment_facts() -> dict[str, Any]:
    """Return versions and commit: what must be equal besides the recipe."""
    return {"versions": package_versions(), "commit": source_commit()}


def check_agreement(world: World, facts: Mapping[str, Any]) -> None:
    """Refuse to start where ranks were given different recipes, versions or settings.

    Args:
        world: This rank among all.
        facts: JSON values, nested as you like: the recipe's sections, the layout's numbers, the
            time-out, `environment_facts()`.

    Raises:
        ArtifactMismatchError: On every rank; names the keys that differ and who has which value.

    Note:
        Collective. Ranks exchange one hash each, and their facts only where hashes differ.
    """
    flat = flatten(facts)
    if len(set(world.gather(stable_hash(flat)))) == 1:
        return
    everyone: list[dict[str, str]] = world.gather(flat)
    raise disagreement(everyone, gather_places(world))


def flatten(facts: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return dotted keys with their values as JSON.

    Args:
        facts: Nested mappings; a list is one value.
        prefix: Put before every key.

    Returns:
        One entry a leaf.
    """
    flat: dict[str, str] = {}
    for key, value in facts.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{name}.")
        else:
            flat[name] = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return flat


def disagreement(
    everyone: Sequence[Mapping[str, str]], places: Sequence[Place]
) -> ArtifactMismatchError:
    """Return the error that names the keys in which ranks differ; a pure function.

    Args:
        everyone: Flattened facts by rank.
        places: Where the ranks run.

    Returns:
        The error.
    """
    keys = dict.fromkeys(key for facts in everyone for key in facts)
    differing = [key for key in keys if len({facts.get(key) for facts in everyone}) > 1]
    lines = [_who_has_what(key, everyone, places) for key in differing[:3]]
    if len(differing) > 3:
        lines.append(f"and {len(differing) - 3} more keys: {', '.join(differing[3:8])}")
    return ArtifactMismatchError(
        "ranks do not agree on what to do",
        where=", ".join(differing[:3]),
        given="\n           ".join(lines),
        allowed="the same on every rank",
        hint="start the same command with the same recipe and the same installation on every node",
    )


def _who_has_what(key: str, everyone: Sequence[Mapping[str, str]], places: Sequence[Place]) -> str:
    owners: dict[str, list[Place]] = {}
    for place, facts in zip(places, everyone, strict=True):
        owners.setdefault(facts.get(key, _ABSENT), []).append(place)
    most_first = sorted(owners.items(), key=lambda item: -len(item[1]))
    told = [f"{_shorten(value)} on {_owners(who)}" for value, who in most_first[:3]]
    return f"{key}: {', '.join(told)}"


def _owners(places: Sequence[Place]) -> str:
    """Name a few ranks and their nodes."""
    nodes = list(dict.fromkeys(place.name for place in places))
    shown = f"{', '.join(nodes[:2])}{', …' if len(nodes) > 2 else ''}"
    return f"{name_ranks([place.rank for place in places])} at {shown}"


def name_ranks(ranks: Sequence[int]) -> str:
    """Return "rank 3", "ranks 0-7" or "ranks 0-3, 8-11, …" for ranks in order."""
    runs: list[list[int]] = []
    for rank in ranks:
        if runs and rank == runs[-1][1] + 1:
            runs[-1][1] = rank
        else:
            runs.append([rank, rank])
    shown = [str(a) if a == b else f"{a}-{b}" for a, b in runs[:4]]
    more = ", …" if len(runs) > 4 else ""
    return f"{'rank' if len(ranks) == 1 else 'ranks'} {', '.join(shown)}{more}"


def _shorten(value: str, most: int = 60) -> str:
    return value if len(value) <= most else f"{value[: most - 1]}…"


# -- nodes, clocks, time-outs ----------------------------------------------------------------------


def check_places(places: Sequence[Place], *, ranks_per_node: int | None = None) -> None:
    """Refuse ranks that do not lie where a layout puts them; a pure function.

    Args:
        places: Where each rank runs.
        ranks_per_node: What the recipe says; None if it leaves it to torchrun.

    Raises:
        InputError: Nodes with different numbers of ranks, ranks of a node that are no neighbours,
            or ranks of one group on mixed nodes.

    Note:
        Call it before the layout is derived: with unequal nodes only some ranks could derive one.
    """
    counts = Counter(place.name for place in places)
    if len(set(counts.values())) > 1:
        raise InputError(
            "the nodes do not have equally many ranks",
            where="torchrun --nproc-per-node",
            given=_few(f"{number} on {name}" for name, number in counts.items()),
            hint="start the same --nproc-per-node on every node",
        )
    order = [place.name for place in places]
    changes = sum(left != right for left, right in itertools.pairwise(order))
    if changes != len(counts) - 1:
        raise InputError(
            "the ranks of a node are not neighbours, so partition groups would lie on mixed nodes",
            where="order of the ranks",
            given=_few(f"rank {place.rank} on {place.name}" for place in places),
            allowed="the first ranks on the first node, the following ones on the next",
            hint="start with torchrun, or with srun --distribution=block",
        )
    if ranks_per_node is not None:
        _check_ranks_per_node(ranks_per_node, next(iter(counts.values())))


def _check_ranks_per_node(assumed: int, really: int) -> None:
    """A rack of nodes with one fast network may count as one, half a node too; no odd piece."""
    if really % assumed and assumed % really:
        raise InputError(
            "partition groups would lie on mixed nodes",
            where="parallel.ranks_per_node",
            given=f"{assumed}, where torchrun started {really} ranks on each node",
            allowed=f"auto, a divisor or a multiple of {really}",
        )


def warn_of_clocks(places: Sequence[Place], *, most: float = MOST_CLOCK_SECONDS) -> str | None:
    """Warn of nodes whose clocks differ.

    Args:
        places: Where each rank runs.
        most: Seconds that are let pass; reading them takes a moment too.

    Returns:
        The warning; None if there was no need of one.
    """
    first, last = min(places, key=lambda p: p.clock), max(places, key=lambda p: p.clock)
    apart = last.clock - first.clock
    if apart <= most:
        return None
    warning = (
        f"the clock of {last.name} is {apart:.0f} s ahead of that of {first.name}: dates in logs "
        "and records will mislead; synchronise them (chrony, ntpd)"
    )
    logger.warning("%s", warning)
    return warning


def check_timeout(seconds: float, slowest: Mapping[str, float]) -> None:
    """Refuse a time-out that would end a healthy run; a pure function.

    Args:
        seconds: The time-out of collectives.
        slowest: What took how long, by name, in this run's earlier sittings: a step, a
            checkpoint, an evaluation.

    Raises:
        InputError: It is not above 0, or shorter than what was measured.
    """
    if seconds <= 0:
        raise InputError(
            "a time-out is above 0 seconds", where="parallel.timeout", given=f"{seconds:g}"
        )
    longer = {name: taken for name, taken in slowest.items() if taken >= seconds}
    if longer:
        raise InputError(
            "the time-out is shorter than what a rank may have to wait for another",
            where="parallel.timeout",
            given=f"{seconds:g} s; "
            + ", ".join(f"the slowest {name} took {taken:.1f} s" for name, taken in longer.items()),
            hint=f"set it to {_round_up(3 * max(longer.values()))} or more",
        )


def _round_up(seconds: float) -> int:
    return int(-(-seconds // 10) * 10)


# -- one folder on all nodes -----------------------------------------------------------------------


def check_run_folder(world: World, folder: Path, *, seconds: float = FOLDER_SECONDS) -> None:
    """Refuse a run folder that is not the same folder on every node.

    Args:
        world: This rank among all.
        folder: The run folder; made if it is missing.
        seconds: How long to wait until another node sees what the first one wrote.

    Raises:
        InputError: On every rank; names the nodes that see another folder.

    Note:
        Collective. The first rank writes a small file and takes it away again.
    """
    if world.size == 1:
        return
    token, problem = _write_token(folder) if world.is_first else ("", None)
    token, problem = world.gather((token, problem))[0]
    if problem is not None:
        raise InputError("the first rank cannot write here", where=folder, given=problem)
    sees = _sees(folder / token, seconds)
    blind = [name for name, saw in world.gather((_here(world), sees)) if not saw]
    if world.is_first:
        (folder / token).unlink(missing_ok=True)
    if blind:
        raise InputError(
            "the run folder is not the same folder on every node",
            where=folder,
            given=f"what rank 0 writes there is not seen on {_few(dict.fromkeys(blind))}",
            allowed="a folder on a disk that all nodes share (NFS, FSx, Lustre, …)",
            hint="name one with --run-dir",
        )


def _write_token(folder: Path) -> tuple[str, str | None]:
    token = f".same-folder-{secrets.token_hex(8)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / token).write_text("", encoding="utf-8")
    except OSError as error:
        return token, str(error)
    return token, None


def _sees(path: Path, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not _is_listed(path):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _is_listed(path: Path) -> bool:
    """Listing asks the server; a look-up may be answered from a cache of what is missing."""
    return path.parent.is_dir() and path.name in os.listdir(path.parent)  # noqa: PTH208


def _here(world: World) -> str:
    return f"{socket.gethostname()} (node {node_number(world)})"


def _few(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:4]) + (f" and {len(listed) - 4} more" if len(listed) > 4 else "")
