"""The device a run computes on: its precision, and how fast it multiplies matrices."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass

import torch

from hunmin.core.environment import available_cores
from hunmin.models.precision import Precision, autocast, choose_precision
from hunmin.parallel.world import World
from hunmin.training.spec import TrainSpec

_DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}


@dataclass(frozen=True)
class Machine:
    """Device, precision and measured speed.

    Args:
        device: Where the model lies.
        precision: bf16 or fp32; the arithmetic of matrix products.
        flops_per_second: Measured rate of a large matrix product in that precision.
        threads: CPU threads.
    """

    device: torch.device
    precision: Precision
    flops_per_second: float
    threads: int

    def autocast(self) -> contextlib.AbstractContextManager[object]:
        """Return a context in which matrix products run in the chosen precision."""
        return autocast(self.precision, self.device)


def prepare_machine(spec: TrainSpec, world: World) -> Machine:
    """Set the number of threads, choose the precision and measure the speed.

    Args:
        spec: What the recipe says about precision and threads.
        world: This rank's device, and how many ranks share the cores of this node.

    Returns:
        The machine.

    Note:
        The measurement takes about a second.
    """
    threads = spec.threads or max(1, available_cores() // world.ranks_per_node)
    torch.set_num_threads(threads)
    precision = choose_precision(spec.precision, world.device, where="train.precision")
    rate = measure_matmul_rate(world.device, _DTYPES[precision])
    return Machine(world.device, precision, rate, threads)


def measure_matmul_rate(
    device: torch.device, dtype: torch.dtype, *, size: int | None = None, seconds: float = 0.8
) -> float:
    """Measure the rate of a square matrix product.

    Args:
        device: Where.
        dtype: Element type.
        size: Rows and columns; 1,024 on a CPU and 8,192 on a GPU by default.
        seconds: How long to measure.

    Returns:
        FLOPs per second: the median of repeated products, so that a pause by another
        program does not count.
    """
    size = size or (1024 if device.type == "cpu" else 8192)
    left = torch.randn(size, size, device=device).to(dtype)
    right = torch.randn(size, size, device=device).to(dtype)
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 5 or time.perf_counter() < end:
        times.append(_time_product(left, right))
    return float(2 * size**3 / sorted(times)[len(times) // 2])


def _time_product(left: torch.Tensor, right: torch.Tensor) -> float:
    started = time.perf_counter()
    torch.mm(left, right)
    if left.is_cuda:
        torch.cuda.synchronize(left.device)
    return time.perf_counter() - started
