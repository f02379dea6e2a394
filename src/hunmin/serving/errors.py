"""Errors of a running engine, which a client meets by asking at the wrong time; of an export."""

from __future__ import annotations

from hunmin.core.errors import HunminError


class EngineBusyError(HunminError, RuntimeError):
    """The queue is full; the same request may succeed later."""


class EngineClosedError(HunminError, RuntimeError):
    """The engine stopped before the request was done."""


class BrokenModelError(HunminError, ArithmeticError):
    """The model computes values that are not numbers."""


class AccuracyLossError(HunminError, ArithmeticError):
    """An exported model answers worse than the one it was made from, or computes otherwise."""
