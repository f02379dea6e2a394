"""Analysers that do what tests need; in a module, so that worker processes can load them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from hunmin.text.segmentation.boundaries import Boundaries, BoundaryKind


@dataclass
class MiddleAnalyser:
    """Cuts every line in the middle, and fails, dies or dawdles where a line says so."""

    identity: str = "middle 1"
    needs_context: bool = True
    seen: list[str] = field(default_factory=list)

    def boundaries(self, texts: Sequence[str]) -> list[Boundaries]:
        self.seen += texts
        return [self._cut(text) for text in texts]

    def _cut(self, text: str) -> Boundaries:
        if "fail" in text:
            raise ValueError("this line is too hard")
        if "die" in text:
            os.kill(os.getpid(), signal.SIGKILL)
        if "sleep" in text:
            time.sleep(0.02)
        middle = len(text) // 2
        kinds = list(BoundaryKind)
        return Boundaries((middle,), (kinds[middle % len(kinds)],)) if middle else Boundaries()
