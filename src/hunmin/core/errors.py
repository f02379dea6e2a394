"""The error tree. Every message says where, what was given, what is allowed and what to do next.

HunminError                       exit code 1: something failed
├── CorruptArtifactError (OSError)        a file differs from its recorded checksum
├── DiskFullError (OSError)               no space left while writing
├── OutOfMemoryError (MemoryError)        the device or the host ran out of memory
├── TrainingDivergedError (ArithmeticError)   the loss is not a number any more
├── StageFailedError (RuntimeError)       a worker process died
├── CollectiveError (RuntimeError)        ranks that train together lost one another
├── UnreachableError (ConnectionError)    a server does not answer; try again later
├── InterruptedRunError (RuntimeError)    Ctrl-C or SIGTERM; what was reported saved is saved
└── InputError (ValueError)       exit code 2: what the user gave cannot be used
    ├── RecipeError                       a recipe does not say what it must
    ├── MissingInputError (FileNotFoundError)   a path does not exist
    ├── TextEncodingError (UnicodeError)  bytes that are not text in a known encoding
    ├── EmptyCorpusError                  no document is left
    ├── VocabularyError                   a vocabulary that the data cannot fill
    ├── ContextLengthError                more tokens than the model has positions
    ├── ArtifactKindError                 a folder of another kind than asked for
    ├── ArtifactMismatchError             artifacts that do not belong together
    └── MissingExtraError (ImportError)   an optional package is not installed
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class HunminError(Exception):
    """Root of all errors raised on purpose by hunmin.

    Args:
        problem: What is wrong, one sentence.
        where: File, folder, recipe key or address the problem is at.
        given: The value that was found.
        allowed: What would have been accepted.
        hint: What to do next.
    """

    exit_code = 1

    def __init__(
        self,
        problem: str,
        *,
        where: str | Path | None = None,
        given: object = None,
        allowed: object = None,
        hint: str | None = None,
    ) -> None:
        self.problem = problem
        self.where = where
        self.given = given
        self.allowed = allowed
        self.hint = hint
        super().__init__(self._message())

    def _message(self) -> str:
        lines = [f"{self.where}: {self.problem}" if self.where is not None else self.problem]
        if self.given is not None:
            lines.append(f"  given:   {self.given}")
        if self.allowed is not None:
            lines.append(f"  allowed: {self.allowed}")
        if self.hint is not None:
            lines.append(f"  next:    {self.hint}")
        return "\n".join(lines)

    def __str__(self) -> str:
        """The whole message, whatever the builtin base class would print."""
        return self._message()


class InputError(HunminError, ValueError):
    """What the user gave cannot be used."""

    exit_code = 2


class RecipeError(InputError):
    """A recipe does not say what it must."""


class MissingInputError(InputError, FileNotFoundError):
    """A path that was named does not exist."""


class TextEncodingError(InputError, UnicodeError):
    """Bytes that are not text in a known encoding."""


class EmptyCorpusError(InputError):
    """No document is left to work with."""


class VocabularyError(InputError):
    """A vocabulary that the data cannot fill or the model cannot hold."""


class ContextLengthError(InputError):
    """More tokens than the model has positions."""


class ArtifactKindError(InputError):
    """A folder that is not the kind of artifact asked for."""


class ArtifactMismatchError(InputError):
    """Artifacts that do not belong together."""


class MissingExtraError(InputError, ImportError):
    """An optional package is not installed."""


class CorruptArtifactError(HunminError, OSError):
    """A file differs from what was recorded when it was written."""


class DiskFullError(HunminError, OSError):
    """No space was left while writing."""


class OutOfMemoryError(HunminError, MemoryError):
    """The device or the host ran out of memory."""


class TrainingDivergedError(HunminError, ArithmeticError):
    """The loss is not a number any more."""


class StageFailedError(HunminError, RuntimeError):
    """A worker process died."""


class CollectiveError(HunminError, RuntimeError):
    """Ranks that train together lost one another: one died, hangs, or a link is cut."""


class UnreachableError(HunminError, ConnectionError):
    """A server does not answer, or the connection broke; the same command may work later.

    It is no error of the input: what was read so far stays of use.
    """


class InterruptedRunError(HunminError, RuntimeError):
    """Ctrl-C or SIGTERM ended the work; what was reported saved is saved."""


def suggest(name: str, options: Iterable[str]) -> str:
    """Return " Did you mean 'x'?" for the nearest option, or an empty string."""
    near = difflib.get_close_matches(str(name), [str(option) for option in options], n=1)
    return f" Did you mean '{near[0]}'?" if near else ""


def suggest_folder(path: Path) -> str:
    """Return " Did you mean 'x'?" for the folder beside a missing one with the nearest name."""
    beside = path.parent.iterdir() if path.parent.is_dir() else ()
    return suggest(path.name, [entry.name for entry in beside if entry.is_dir()])
