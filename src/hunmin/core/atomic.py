"""Writes that either happen whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path

from hunmin.core.errors import DiskFullError

_NO_SPACE_MARKS = ("No space left on device", "Disk quota exceeded")


@contextlib.contextmanager
def explain_disk_full(path: Path) -> Iterator[None]:
    """Turn "no space left on device" into a DiskFullError that names the path.

    Args:
        path: What is being written.

    Yields:
        Nothing.

    Raises:
        DiskFullError: The disk or the quota is full.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, DiskFullError) or not is_disk_full(error):
            raise
        raise DiskFullError(
            "no space left while writing; nothing half-written was kept",
            where=path,
            hint="free some space or choose another place with --run-dir, then run it again",
        ) from error


def is_disk_full(error: Exception) -> bool:
    """Tell whether an error says "no space left"; libraries written in Rust give no errno."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return any(mark in str(error) for mark in _NO_SPACE_MARKS)


def _fsync_tree(folder: Path) -> None:
    for path in [*folder.rglob("*"), folder]:
        _fsync(path)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _temporary_sibling(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp-{_host()}-{os.getpid()}-{uuid.uuid4().hex[:8]}")


def _host() -> str:
    """A short name of this machine: process ids of others on a shared disk tell us nothing."""
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:8]


def atomic_write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all.

    Args:
        path: Where; its folder is made if missing.
        text: UTF-8 content.

    Raises:
        DiskFullError: No space was left; an older file stays as it was.
    """
    with atomic_file(path) as draft:
        draft.write_text(text, encoding="utf-8")


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Write a temporary file beside `path`; it takes the place of `path` if nothing failed.

    Args:
        path: Where; its folder is made if missing.

    Yields:
        The temporary file to write.

    Raises:
        DiskFullError: No space was left; an older file stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary_sibling(path)
    try:
        with explain_disk_full(path):
            yield temporary
            _fsync(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Fill a temporary folder beside `path`; it takes the place of `path` if nothing failed.

    Args:
        path: Where the finished folder lies; an older one there is replaced.

    Yields:
        The temporary folder to write into.

    Raises:
        DiskFullError: No space was left; the older folder stays as it was.

    Note:
        Every file is flushed to disk before the rename. The older folder is moved aside first, so
        a kill at any moment leaves the older or the newer one (see `recover_folder`), never a mix.
    """
    path = _named(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    recover_folder(path)
    _remove_abandoned_drafts(path)
    draft = _temporary_sibling(path)
    draft.mkdir()
    try:
        with explain_disk_full(path):
            yield draft
            _fsync_tree(draft)
        _swap_in(draft, path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _remove_abandoned_drafts(path: Path) -> None:
    """A killed process leaves its draft behind; the next one that writes the same takes it away."""
    for draft in path.parent.glob(f".{path.name}.tmp-{_host()}-*"):
        if not _is_running(int(draft.name.split("-")[-2])):
            shutil.rmtree(draft, ignore_errors=True)


def _is_running(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _swap_in(draft: Path, path: Path) -> None:
    aside = _aside(path)
    if path.exists():
        path.rename(aside)
    draft.rename(path)
    _fsync(path.parent)
    shutil.rmtree(aside, ignore_errors=True)


def _named(path: Path) -> Path:
    """The same folder under its name, where the path ends in `.` or `..`."""
    return path if path.name not in ("", "..") else path.resolve()


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.old")


def recover_folder(path: Path) -> None:
    """Finish or undo a replacement that a kill interrupted."""
    path = _named(path)
    if not path.name or not (aside := _aside(path)).exists():
        return
    if path.exists():
        shutil.rmtree(aside)
    else:
        aside.rename(path)
