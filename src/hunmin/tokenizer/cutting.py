"""What a tokenizer that cuts texts before encoding them needs: a protocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class TextCutter(Protocol):
    """Cuts texts into parts that are encoded one by one."""

    @property
    def identity(self) -> str:
        """Two cutters with one identity cut alike; part of the tokenizer's digest."""

    def cut(self, texts: Sequence[str]) -> list[list[str]]:
        """Return the parts of each text, which joined are the text."""
