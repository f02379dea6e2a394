"""Ray: tasks and tables on a cluster, or on a small one that is started on this machine."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import pyarrow as pa

from hunmin.core.errors import InputError
from hunmin.core.extras import require
from hunmin.corpus.engines import tables
from hunmin.corpus.engines.daft import DaftTables, load_daft, plain_batches, quiet_environment
from hunmin.corpus.engines.engine import Frame, Result, Task
from hunmin.corpus.engines.results import (
    AHEAD_PER_WORKER,
    Ordered,
    attempt,
    check_workers,
    dead_worker,
)

_TRIES_AGAIN = 2
_STORE_BYTES = 1 << 29
_LOOPBACK = "127.0.0.1"
_NO_STATISTICS = {"RAY_USAGE_STATS_ENABLED": "0"}


class RayEngine(DaftTables):
    """Tables by Daft on Ray, tasks by Ray.

    Args:
        address: `auto` or the address of a cluster. None starts Ray on this machine: on the
            loopback interface alone, without dashboard; `close` ends it.
        num_workers: Tasks at once; of a Ray started here also its CPUs.

    Raises:
        InputError: No cluster answers at the address.

    Note:
        A program that has called `ray.init` itself goes on with its Ray, whatever the address.
        A task whose worker dies is tried twice more. Workers of a cluster need this package
        installed and the folders of the corpus under the same paths.
    """

    name = "ray"

    def __init__(self, address: str | None, num_workers: int) -> None:
        self._num_workers = check_workers(num_workers)
        for variable, value in _NO_STATISTICS.items():
            os.environ.setdefault(variable, value)
        daft, self._ray = load_daft(), require("ray", extra="ray")
        self._started = not self._ray.is_initialized()
        if self._started:
            _start(self._ray, address, num_workers)
        try:
            runner = require("daft.runners.ray_runner", extra="ray").RayRunner(address=None)
            super().__init__(daft, runner)
        except BaseException:
            self.close()
            raise

    def run(self, work: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
        """Do independent tasks in Ray; see `Engine.run`."""
        remote = self._ray.remote(max_retries=_TRIES_AGAIN, num_cpus=1)(attempt)
        shared = self._ray.put(work)
        yield from self._in_order(lambda task: remote.remote(shared, task), tasks)

    def close(self) -> None:
        """End the Ray that this engine started, and nothing else."""
        if self._started and self._ray.is_initialized():
            self._ray.shutdown()

    def _in_order(self, submit: Callable[[Any], Any], tasks: Any) -> Iterator[Any]:
        ordered = Ordered(submit, self._ray.get, self._num_workers * AHEAD_PER_WORKER)
        try:
            yield from ordered.results(tasks)
        except self._ray.exceptions.RayError as error:
            if not _is_death(self._ray, error):
                raise
            raise dead_worker() from error
        finally:
            self._cancel(list(ordered.waiting))

    def _cancel(self, waiting: list[Any]) -> None:
        for reference in waiting:
            self._ray.cancel(reference)
        if waiting:
            self._ray.wait(waiting, num_returns=len(waiting), timeout=10)

    def _write_parts(self, frame: Frame, schema: pa.Schema, folder: Path) -> None:
        remote = self._ray.remote(max_retries=_TRIES_AGAIN, num_cpus=1)(_write_partition)
        partitions = enumerate(self._runner.run_iter(frame._builder))

        def submit(numbered: tuple[int, Any]) -> Any:
            number, result = numbered
            path = tables.part_path(folder.absolute(), number)
            return remote.remote(result.partition(), schema, path)

        for _ in self._in_order(submit, partitions):
            pass


def _write_partition(partition: Any, schema: pa.Schema, path: Path) -> int:
    return tables.write_part(plain_batches(partition, schema), schema, path)


def _is_death(ray: ModuleType, error: BaseException) -> bool:
    deaths = ray.exceptions
    return isinstance(
        error,
        (
            deaths.WorkerCrashedError,
            deaths.NodeDiedError,
            deaths.OutOfMemoryError,
            deaths.ActorDiedError,
            deaths.ObjectLostError,
        ),
    )


def _start(ray: ModuleType, address: str | None, num_workers: int) -> None:
    common = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        with _silent(), _on_loopback():
            ray.init(
                address="local",
                num_cpus=num_workers,
                include_dashboard=False,
                object_store_memory=_STORE_BYTES,
                _node_ip_address=_LOOPBACK,
                **common,
            )
        return
    environment = {**quiet_environment(), **_NO_STATISTICS}
    try:
        with _silent():
            ray.init(address=address, runtime_env={"env_vars": environment}, **common)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise InputError(
            "no Ray cluster answers there",
            given=address,
            allowed="auto or host:port of a running cluster; none to start Ray on this machine",
            hint="start one with: ray start --head",
        ) from error


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    # Ray tells of dead workers on stdout, which is for data; the errors tell it too.
    worker = require("ray._private.worker", extra="ray")
    with mock.patch.object(worker, "listen_error_messages"):
        yield


@contextlib.contextmanager
def _on_loopback() -> Iterator[None]:
    # Ray replaces 127.0.0.1 by the machine's address, and then listens on every interface. Told
    # 127.0.0.1 it does listen there alone, so for this once the replacement is left out.
    services = require("ray._private.services", extra="ray")
    with mock.patch.object(services, "resolve_ip_for_localhost", lambda host: host):
        yield
