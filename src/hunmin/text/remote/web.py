"""Files on web servers, through the standard library."""

from __future__ import annotations

import base64
import http.client
import netrc
import os
import re
import ssl
import urllib.request
from email.message import Message
from pathlib import Path
from typing import Protocol, cast
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit

from hunmin.core.errors import HunminError, InputError
from hunmin.text.remote import errors
from hunmin.text.remote.address import RemoteFile, shown

TIMEOUT_SECONDS = 20.0
_TOTAL = re.compile(r"bytes (?:\*|\d+-\d+)/(\d+)")
_SKIP_BYTES = 1 << 20
_NO_RANGE = 416
_PARTIAL = 206
_REFUSED = frozenset({401, 403, 407})
_GONE = frozenset({404, 410})
_LATER = frozenset({408, 425, 429})
_FIRST_SERVER_ERROR = 500


class _Answer(Protocol):
    status: int
    headers: Message

    def read(self, size: int) -> bytes: ...

    def close(self) -> None: ...


class WebStore:
    """Files of web servers. Proxies and certificates are those of the environment."""

    def stat(self, address: str) -> RemoteFile:
        """Ask for the first byte of a file, which every server answers with the file's length.

        Args:
            address: Of one file.

        Returns:
            The file.

        Raises:
            MissingInputError: There is no such file.
            InputError: It may not be read, or the server does not tell its length.
            UnreachableError: The server does not answer.
        """
        try:
            answer = _ask(address, "bytes=0-0")
        except HTTPError as error:
            total = _total(error.headers) if error.code == _NO_RANGE else None
            if total == 0:
                return RemoteFile(address, 0, _version(error.headers))
            raise _translated(error, address) from error
        answer.close()
        return RemoteFile(address, _size(answer, address), _version(answer.headers))

    def open(self, file: RemoteFile, start: int, stop: int | None) -> WebBody:
        """Return the bytes of a file from a place on.

        Args:
            file: As it was found.
            start: Place of the first byte.
            stop: Place after the last byte that is wanted; None for the end of the file.

        Returns:
            The bytes.

        Raises:
            InputError: The file was changed, or the server cannot start in the middle.
            UnreachableError: The server does not answer.
        """
        last = "" if stop is None else str(stop - 1)
        try:
            answer = _ask(file.address, f"bytes={start}-{last}")
        except HTTPError as error:
            raise _translated(error, file.address) from error
        body = WebBody(answer, file.address)
        found = RemoteFile(file.address, _size(answer, file.address), _version(answer.headers))
        if found != file:
            body.close()
            raise errors.changed(file.address, f"{found.size:,} bytes, {file.size:,} before")
        if answer.status != _PARTIAL and start:
            if stop is not None:
                body.close()
                raise _no_ranges(file)
            body.skip(start)
        return body


class WebBody:
    """The content of an answer."""

    def __init__(self, answer: _Answer, address: str) -> None:
        self._answer, self._address = answer, address

    def read(self, size: int) -> bytes:
        """Return up to so many bytes."""
        try:
            return self._answer.read(size)
        except (OSError, http.client.HTTPException) as error:
            raise errors.unreachable(self._address, f"the connection broke ({error})") from error

    def skip(self, size: int) -> None:
        """Read past so many bytes."""
        while size:
            taken = len(self.read(min(size, _SKIP_BYTES)))
            if not taken:
                raise errors.unreachable(self._address, "the connection ended")
            size -= taken

    def close(self) -> None:
        """Let go of the connection."""
        self._answer.close()


def _ask(address: str, stretch: str) -> _Answer:
    target = quote(address.partition("#")[0], safe="%/:=&?~+!$,;'@()*[]")
    request = urllib.request.Request(target)
    request.add_header("Range", stretch)
    # The file as it is stored: a length that fits, and bytes that its name tells how to unpack.
    request.add_header("Accept-Encoding", "identity")
    request.add_header("User-Agent", "hunmin")
    authorization = _authorization(address)
    if authorization is not None:
        # Not sent on when the server sends us to another one.
        request.add_unredirected_header("Authorization", authorization)
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)
    except HTTPError:
        raise
    except (OSError, http.client.HTTPException) as error:
        raise _translated(error, address) from error
    return cast(_Answer, answer)


def _authorization(address: str) -> str | None:
    file = Path(os.environ.get("NETRC") or Path.home() / ".netrc")
    if not file.is_file():
        return None
    try:
        known = netrc.netrc(str(file)).authenticators(urlsplit(address).hostname or "")
    except netrc.NetrcParseError as error:
        hint = f"repair line {error.lineno}, or name another file in NETRC"
        raise InputError(f"this file cannot be read: {error.msg}", where=file, hint=hint) from error
    if known is None:
        return None
    return "Basic " + base64.b64encode(f"{known[0]}:{known[2] or ''}".encode()).decode()


def _size(answer: _Answer, address: str) -> int:
    total = _total(answer.headers) if answer.status == _PARTIAL else None
    if total is None and answer.status != _PARTIAL:
        length = answer.headers.get("Content-Length") or ""
        total = int(length) if length.isdecimal() else None
    if total is None:
        answer.close()
        raise InputError(
            "the server does not tell how long this file is, so its end could be missed",
            where=shown(address),
            hint="fetch the file first and name its path",
        )
    return total


def _total(headers: Message) -> int | None:
    match = _TOTAL.fullmatch(headers.get("Content-Range") or "")
    return None if match is None else int(match[1])


def _version(headers: Message) -> str:
    return headers.get("ETag") or headers.get("Last-Modified") or ""


def _translated(error: Exception, address: str) -> HunminError:
    if isinstance(error, HTTPError):
        error.close()
        return _status_error(error.code, str(error.reason), address)
    reason = error.reason if isinstance(error, URLError) else error
    if isinstance(reason, ssl.SSLCertVerificationError):
        return InputError(
            f"the server's certificate is not trusted: {reason.verify_message}",
            where=shown(address),
            hint="if it is a server of your own, name its certificate in SSL_CERT_FILE",
        )
    return errors.unreachable(address, str(reason) or type(reason).__name__)


def _status_error(status: int, reason: str, address: str) -> HunminError:
    if status in _GONE:
        return errors.missing(address)
    if status in _REFUSED:
        return errors.no_permission(address)
    if status in _LATER or status >= _FIRST_SERVER_ERROR:
        return errors.unreachable(address, f"HTTP status {status} {reason}")
    return InputError(
        f"the server refuses: HTTP status {status} {reason}",
        where=shown(address),
        hint="check the address in a browser",
    )


def _no_ranges(file: RemoteFile) -> InputError:
    return InputError(
        "this server sends only whole files, and this format is read from the middle",
        where=str(file),
        hint="fetch the file first and name its path",
    )
