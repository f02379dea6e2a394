"""Tasks and kernels of the tests; workers import this module."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pyarrow as pa

from hunmin.core.errors import RecipeError


def double(number: int) -> int:
    return 2 * number


def late_first(number: int) -> int:
    """The earlier a task, the later it is done."""
    time.sleep(0.05 * max(0, 4 - number))
    return number


def refuse_three(number: int) -> int:
    if number == 3:
        raise RecipeError("no threes", where="here", given=3, allowed="others", hint="leave it out")
    return number


def divide(number: int) -> float:
    return 1 / number


def die(number: int) -> int:
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def die_once(task: tuple[int, Path]) -> int:
    number, marks = task
    mark = marks / str(number)
    if number == 2 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def mark(task: tuple[int, Path]) -> int:
    number, marks = task
    (marks / str(number)).touch()
    if number == 0:
        raise RecipeError("no zeros")
    return number


def seen_types(batch: pa.RecordBatch) -> pa.RecordBatch:
    """What a kernel is given: the type of each column, and the rows of the batch."""
    rows = [f"{field.name}: {field.type}" for field in batch.schema]
    return pa.RecordBatch.from_pydict({"type": rows, "rows": [batch.num_rows] * len(rows)})


def doubled_even(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Rows with an odd number go, the others come twice, in Arrow's large types."""
    numbers = [n for n in batch["number"].to_pylist() for _ in range(2) if n % 2 == 0]
    words = pa.array([f"낱말 {n}" for n in numbers], pa.large_string())
    return pa.RecordBatch.from_arrays([pa.array(numbers, pa.int32()), words], ["number", "word"])


def refuse(batch: pa.RecordBatch) -> pa.RecordBatch:
    raise RecipeError("this kernel never works")


def same(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch
