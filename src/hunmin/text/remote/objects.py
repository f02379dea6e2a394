"""Files on object stores, through the file systems of pyarrow."""

from __future__ import annotations

import contextlib
import fnmatch
import os
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
from pyarrow import fs

from hunmin.core.errors import MissingInputError
from hunmin.core.extras import require
from hunmin.text.remote import errors
from hunmin.text.remote.address import RemoteFile

_CONNECT_SECONDS, _REQUEST_SECONDS, _TRIES = 10, 30, 3
_GS_RETRY_SECONDS = 10
_FIRST_BLOCK_BYTES, _BLOCK_BYTES = 1 << 20, 1 << 23
_YES = frozenset({"1", "YES", "TRUE", "ON"})
_MAGIC = frozenset("*?[")

Found = tuple[str, RemoteFile, bool]
"""Name below the folder it was found in, the file, whether it was named itself."""


class ObjectStore:
    """The files of a bucket.

    Args:
        scheme: s3, gs or hf.
        bucket: First part of the address.

    Raises:
        MissingExtraError: The package that hf:// needs is not installed.
        MissingInputError: There is no such bucket.
        UnreachableError: The store does not answer.
    """

    def __init__(self, scheme: str, bucket: str) -> None:
        self._scheme = scheme
        self._errors: tuple[type[Exception], ...] = (OSError, pa.ArrowException, ValueError)
        if scheme == "hf":
            # Errors of the network come from the client that the hub's library uses.
            self._errors += (require("httpx", extra="hub").HTTPError,)
        self._files = self._call(lambda: _OPENERS[scheme](bucket), bucket)

    def find(self, address: str) -> Iterator[Found]:
        """Yield the files that an address names.

        Args:
            address: A file, a folder or a glob.

        Raises:
            MissingInputError: There is nothing.
            InputError: It may not be looked at.
            UnreachableError: The store does not answer.
        """
        parts = [part for part in address.partition("://")[2].split("/") if part]
        num_fixed = next((n for n, part in enumerate(parts) if set(part) & _MAGIC), len(parts))
        path = "/".join(parts[:num_fixed])
        if num_fixed < len(parts):
            yield from self._glob(path, parts[num_fixed:], address)
            return
        info = self._call(lambda: self._files.get_file_info(path), path)
        if info.type == fs.FileType.File:
            yield parts[-1], self._file(info), True
        elif info.type == fs.FileType.Directory:
            root = "/".join(parts[:-1]) if len(parts) > 1 else path
            yield from self._labelled(self._list(path, recursive=True), root)
        else:
            raise self._missing(parts[0], address)

    def open(self, file: RemoteFile, start: int, stop: int | None) -> ObjectBody:
        """Return the bytes of a file from a place on.

        Args:
            file: As it was found.
            start: Place of the first byte.
            stop: Place after the last byte that is wanted; None for the end of the file.

        Returns:
            The bytes.

        Raises:
            InputError: The file was changed.
            UnreachableError: The store does not answer.
        """
        path = file.address.partition("://")[2]
        source = self._call(lambda: self._files.open_input_file(path), path)
        size = self._call(source.size, path)
        if size != file.size:
            source.close()
            raise errors.changed(file.address, f"{size:,} bytes, {file.size:,} before")
        first = _FIRST_BLOCK_BYTES if stop is None else stop - start
        return ObjectBody(self._call, source, path, start, first)

    def _glob(self, folder: str, pattern: list[str], address: str) -> Iterator[Found]:
        matches = sorted(self._matching(folder, pattern), key=lambda info: str(info.path))
        if not matches:
            raise MissingInputError(
                "nothing matches this pattern",
                where=address,
                hint="check the folder; `**` searches all folders below",
            )
        yield from self._labelled(iter(matches), folder)

    def _matching(self, folder: str, pattern: list[str]) -> Iterator[Any]:
        is_deep = pattern[0] == "**"
        for info in self._list(folder, recursive=is_deep):
            names = info.path[len(folder) + 1 :].split("/")
            if info.type == fs.FileType.File and _fits(names, pattern):
                yield info
            elif info.type == fs.FileType.Directory and not is_deep and pattern[1:]:
                is_on_the_way = fnmatch.fnmatchcase(names[0], pattern[0])
                yield from self._matching(info.path, pattern[1:]) if is_on_the_way else ()

    def _list(self, folder: str, *, recursive: bool) -> Iterator[Any]:
        selector = fs.FileSelector(folder, recursive=recursive)
        yield from self._call(lambda: self._files.get_file_info(selector), folder)

    def _labelled(self, found: Iterator[Any], root: str) -> Iterator[Found]:
        for info in found:
            label = info.path[len(root) + 1 :]
            is_hidden = any(part.startswith(".") for part in label.split("/"))
            if info.type == fs.FileType.File and not is_hidden:
                yield label, self._file(info), False

    def _file(self, info: Any) -> RemoteFile:
        version = "" if info.mtime_ns is None else str(info.mtime_ns)
        return RemoteFile(f"{self._scheme}://{info.path}", info.size, version)

    def _missing(self, bucket: str, address: str) -> MissingInputError:
        info = self._call(lambda: self._files.get_file_info(bucket), bucket)
        is_bucket = self._scheme == "hf" or info.type == fs.FileType.Directory
        return errors.missing(address) if is_bucket else errors.no_bucket(address)

    def _call(self, action: Callable[[], Any], path: str) -> Any:
        try:
            return action()
        except self._errors as error:
            raise errors.store_error(error, f"{self._scheme}://{path}") from error


class ObjectBody:
    """The content of an object, fetched in blocks that grow: many files are only looked into."""

    def __init__(
        self,
        call: Callable[[Callable[[], Any], str], Any],
        source: Any,
        path: str,
        start: int,
        block_bytes: int,
    ) -> None:
        self._call, self._source, self._path = call, source, path
        self._next, self._block_bytes = start, block_bytes
        self._block, self._place = b"", 0

    def read(self, size: int) -> bytes:
        """Return up to so many bytes."""
        if self._place == len(self._block):
            start, length = self._next, max(size, self._block_bytes)
            # Not _block_bytes at most: who asks for more knows that it is needed.
            self._block = self._call(lambda: self._source.read_at(length, start), self._path)
            self._next, self._place = start + len(self._block), 0
            self._block_bytes = min(self._block_bytes * 2, _BLOCK_BYTES)
        data = self._block[self._place : self._place + size]
        self._place += len(data)
        return data

    def close(self) -> None:
        """Let go of the connection."""
        self._block, self._place = b"", 0
        # Nothing more is wanted from it, so a broken connection is no news.
        with contextlib.suppress(OSError, pa.ArrowException):
            self._source.close()


def _fits(names: list[str], pattern: list[str]) -> bool:
    """Say whether a path fits a glob, both in parts."""
    if not pattern:
        return not names
    if pattern[0] == "**":
        if len(pattern) == 1:
            return bool(names)
        return any(_fits(names[skipped:], pattern[1:]) for skipped in range(len(names)))
    return (
        bool(names) and fnmatch.fnmatchcase(names[0], pattern[0]) and _fits(names[1:], pattern[1:])
    )


def _open_s3(bucket: str) -> fs.FileSystem:
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if region is None:
        region = "us-east-1" if endpoint else fs.resolve_s3_region(bucket)
    return fs.S3FileSystem(
        endpoint_override=endpoint,
        region=region,
        anonymous=_is_set("AWS_NO_SIGN_REQUEST"),
        connect_timeout=_CONNECT_SECONDS,
        request_timeout=_REQUEST_SECONDS,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=_TRIES),
    )


def _open_gs(bucket: str) -> fs.FileSystem:
    emulator = os.environ.get("STORAGE_EMULATOR_HOST")
    limit = timedelta(seconds=_GS_RETRY_SECONDS)
    if emulator:
        parts = urlsplit(emulator if "://" in emulator else f"http://{emulator}")
        return fs.GcsFileSystem(
            anonymous=True,
            scheme=parts.scheme,
            endpoint_override=parts.netloc,
            retry_time_limit=limit,
        )
    return fs.GcsFileSystem(anonymous=_is_set("GS_NO_SIGN_REQUEST"), retry_time_limit=limit)


def _open_hf(bucket: str) -> fs.FileSystem:
    hub = require("huggingface_hub", extra="hub")
    return fs.PyFileSystem(fs.FSSpecHandler(hub.HfFileSystem()))


def _is_set(variable: str) -> bool:
    return os.environ.get(variable, "").upper() in _YES


_OPENERS: Mapping[str, Callable[[str], fs.FileSystem]] = {
    "s3": _open_s3,
    "gs": _open_gs,
    "hf": _open_hf,
}
