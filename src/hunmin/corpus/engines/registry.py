"""Engines by name."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from hunmin.core.errors import InputError, suggest
from hunmin.corpus.engines.daft import DaftEngine
from hunmin.corpus.engines.engine import Engine
from hunmin.corpus.engines.ray import RayEngine
from hunmin.corpus.engines.spark import SparkEngine

ENGINE_NAMES = ("daft", "ray", "spark")
"""The engines there are: Daft on one machine, Daft and Ray on many, Spark."""


@contextlib.contextmanager
def open_engine(name: str, *, num_workers: int, address: str | None = None) -> Iterator[Engine]:
    """Start an engine, or join the cluster where it runs; end at the end what was started here.

    Args:
        name: One of ENGINE_NAMES.
        num_workers: Processes, or tasks at once on a cluster; 1 or more.
        address: Of the cluster; None for this machine.

    Yields:
        The engine.

    Raises:
        InputError: There is no such engine, or it has no clusters.
        MissingExtraError: Its package is not installed.
    """
    engine = _engine(name, num_workers, address)
    try:
        yield engine
    finally:
        engine.close()


def _engine(
    name: str, num_workers: int, address: str | None
) -> DaftEngine | RayEngine | SparkEngine:
    if name == "ray":
        return RayEngine(address, num_workers)
    if name == "spark":
        return SparkEngine(address, num_workers)
    if name != "daft":
        raise InputError(
            f"no such engine.{suggest(name, ENGINE_NAMES)}",
            given=name,
            allowed=", ".join(ENGINE_NAMES),
        )
    if address is not None:
        raise InputError(
            "the engine daft works on this machine", given=address, allowed="the engine ray"
        )
    return DaftEngine(num_workers)
