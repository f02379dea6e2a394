"""The page of all errors, from the error tree."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import hunmin
from hunmin.core.errors import HunminError

HEADER = """# Error reference

hunmin raises only these on purpose, and each is also the Python error that fits it, so
`except FileNotFoundError` works too. A message says where, what was given, what is allowed and
what to do next. On the command line an error ends the command with its exit code and without a
traceback.

| error | below | also a | exit code | meaning |
|---|---|---|---|---|
"""


def page() -> str:
    """Return the page as Markdown."""
    import_error_modules()
    return HEADER + "".join(f"{_row(error)}\n" for error in all_errors(HunminError))


def import_error_modules() -> None:
    """Import every module named errors, so that the tree is whole."""
    root = Path(hunmin.__file__).parent
    for path in sorted(root.rglob("errors.py")):
        names = path.relative_to(root).with_suffix("").parts
        importlib.import_module(".".join(("hunmin", *names)))


def all_errors(root: type[HunminError]) -> Iterator[type[HunminError]]:
    """Yield an error class and all below it, depth first."""
    yield root
    for error in root.__subclasses__():
        yield from all_errors(error)


def _row(error: type[HunminError]) -> str:
    bases = error.__bases__
    below = ", ".join(f"`{b.__name__}`" for b in bases if issubclass(b, HunminError))
    builtin = ", ".join(f"`{b.__name__}`" for b in bases if b.__module__ == "builtins")
    meaning = (error.__doc__ or "").strip().splitlines()[0]
    return f"| `{error.__name__}` | {below} | {builtin} | {error.exit_code} | {meaning} |"
