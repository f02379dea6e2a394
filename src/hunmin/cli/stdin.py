"""Lines from a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterator


def read_stdin_lines() -> Iterator[str]:
    """Yield the lines of stdin as UTF-8, whatever the terminal's locale is.

    Yields:
        Lines without their ends. Bytes that are no UTF-8 become lone surrogates, which the
        tokenizer refuses with a message.
    """
    for line in sys.stdin.buffer:
        yield line.decode("utf-8", errors="surrogateescape").removesuffix("\n").removesuffix("\r")
