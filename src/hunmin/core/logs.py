"""Logging: one line per event on stderr, marked with the rank when there are several."""

from __future__ import annotations

import logging
import os
import sys


def get_logger(name: str) -> logging.Logger:
    """Return the logger of a module."""
    return logging.getLogger(name)


def rank() -> int:
    """Return this process's global rank, 0 when there is only one process."""
    return int(os.environ.get("RANK", "0"))


def world_size() -> int:
    """Return how many processes torchrun started, 1 when this one is alone."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def set_up_logging(*, verbose: bool = False) -> None:
    """Send hunmin's log to stderr; other ranks than the first speak only of warnings.

    Args:
        verbose: Show debug lines too.
    """
    level = logging.DEBUG if verbose else logging.INFO
    if rank() != 0:
        level = logging.WARNING
    mark = f"[rank {rank()}] " if world_size() > 1 else ""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(f"%(asctime)s {mark}%(message)s", "%H:%M:%S"))
    logger = logging.getLogger("hunmin")
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False
