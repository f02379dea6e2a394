"""A server on this machine that is an S3-like store and a web server, and can break connections."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.server
import json
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

TIME = "Sat, 21 Nov 2026 10:00:00 GMT"


@dataclass
class LocalStore:
    """What the server holds and how it behaves; paths begin with the bucket."""

    files: dict[str, bytes] = field(default_factory=dict)
    buckets: set[str] = field(default_factory=lambda: {"bucket"})
    forbidden: set[str] = field(default_factory=set)
    cut_after: int | None = None
    """Bytes of content after which an answer breaks off."""
    num_cuts: int = 1_000_000
    """Answers that break off."""
    has_ranges: bool = True
    tells_length: bool = True
    statuses: list[int] = field(default_factory=list)
    """Answers to give before any other."""
    redirects: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    """Method, path and Range of what was asked."""
    authorizations: list[str] = field(default_factory=list)
    address: str = ""

    def start_of_answers(self, name: str) -> list[str]:
        """Ranges that were asked of a file."""
        return [stretch for _, path, stretch in self.requests if path == name]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store: LocalStore

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        path, query = unquote(parts.path).strip("/"), parse_qs(parts.query)
        self.store.requests.append((self.command, path, self.headers.get("Range") or ""))
        self.store.authorizations.append(self.headers.get("Authorization") or "")
        bucket = path.partition("/")[0]
        if self.store.statuses:
            self._answer(self.store.statuses.pop(0))
        elif path in self.store.redirects:
            self._answer(302, headers={"Location": self.store.redirects[path]})
        elif path in self.store.forbidden or bucket in self.store.forbidden:
            self._refuse(403, "AccessDenied")
        elif bucket not in self.store.buckets:
            self._refuse(404, "NoSuchBucket")
        elif "list-type" in query:
            self._list(bucket, query)
        elif path == bucket:
            self._answer(200)
        elif path in self.store.files:
            self._send(self.store.files[path])
        else:
            self._refuse(404, "NoSuchKey")

    def _refuse(self, status: int, code: str) -> None:
        message = f"<Error><Code>{code}</Code><Message>{code} for you</Message></Error>"
        self._answer(status, message.encode())

    def _answer(
        self, status: int, content: bytes = b"", headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _send(self, content: bytes) -> None:
        headers = {"ETag": _tag(content), "Last-Modified": TIME, "Accept-Ranges": "bytes"}
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if asked is None or not self.store.has_ranges:
            self._body(200, content, headers)
            return
        start = int(asked[1])
        stop = min(int(asked[2]) + 1 if asked[2] else len(content), len(content))
        if start >= len(content):
            self._answer(416, headers={"Content-Range": f"bytes */{len(content)}"})
            return
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
        self._body(206, content[start:stop], headers)

    def _body(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        if self.store.tells_length:
            self.send_header("Content-Length", str(len(content)))
        else:
            self.send_header("Connection", "close")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        limit = self.store.cut_after
        with contextlib.suppress(OSError):
            if limit is None or len(content) <= limit or self.store.num_cuts <= 0:
                self.wfile.write(content)
                return
            self.store.num_cuts -= 1
            self.wfile.write(content[:limit])
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def _list(self, bucket: str, query: dict[str, list[str]]) -> None:
        prefix = query.get("prefix", [""])[0]
        delimiter = query.get("delimiter", [""])[0]
        contents, folders = [], set()
        for path, content in sorted(self.store.files.items()):
            holder, _, key = path.partition("/")
            if holder != bucket or not key.startswith(prefix):
                continue
            rest = key[len(prefix) :]
            if delimiter and delimiter in rest:
                folders.add(prefix + rest.partition(delimiter)[0] + delimiter)
            else:
                contents.append(
                    f"<Contents><Key>{escape(key)}</Key><Size>{len(content)}</Size>"
                    "<LastModified>2026-11-21T10:00:00.000Z</LastModified>"
                    "<ETag>x</ETag><StorageClass>STANDARD</StorageClass></Contents>"
                )
        common = "".join(
            f"<CommonPrefixes><Prefix>{escape(folder)}</Prefix></CommonPrefixes>"
            for folder in sorted(folders)
        )
        body = (
            '<?xml version="1.0"?><ListBucketResult>'
            f"<Name>{bucket}</Name><Prefix>{escape(prefix)}</Prefix>"
            f"<KeyCount>{len(contents) + len(folders)}</KeyCount><MaxKeys>1000</MaxKeys>"
            f"<IsTruncated>false</IsTruncated>{''.join(contents)}{common}</ListBucketResult>"
        )
        self._answer(200, body.encode(), {"Content-Type": "application/xml"})


@functools.lru_cache
def _tag(content: bytes) -> str:
    return f'"{hashlib.md5(content).hexdigest()}"'


class _GoogleHandler(_Handler):
    """Knows the three questions that are asked of Google's store."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        bucket, _, key = parts.path.removeprefix("/storage/v1/b/").partition("/o")
        prefix = f"{bucket}/{query.get('prefix', [''])[0]}"
        content = self.store.files.get(f"{bucket}/{unquote(key[1:])}")
        if bucket not in self.store.buckets:
            self._answer(404, b'{"error": {"code": 404, "message": "bucket does not exist"}}')
        elif "/o" not in parts.path:
            self._json({"kind": "storage#bucket", "name": bucket, "id": bucket})
        elif not key:
            files = self.store.files.items()
            items = [_object(path, data) for path, data in files if path.startswith(prefix)]
            self._json({"kind": "storage#objects", "items": items})
        elif content is None:
            self._answer(404, b'{"error": {"code": 404, "message": "No such object"}}')
        elif query.get("alt") == ["media"]:
            self._send(content)
        else:
            self._json(_object(f"{bucket}/{unquote(key[1:])}", content))

    def _json(self, value: object) -> None:
        self._answer(200, json.dumps(value).encode(), {"Content-Type": "application/json"})


def _object(path: str, content: bytes) -> dict[str, str]:
    bucket, _, name = path.partition("/")
    times = dict.fromkeys(("updated", "timeCreated"), "2026-11-21T10:00:00Z")
    numbers = {"size": str(len(content)), "generation": "1", "metageneration": "1"}
    return {"kind": "storage#object", "name": name, "bucket": bucket} | numbers | times


def serve_google_store(store: LocalStore, connection: Any) -> None:
    """Serve until told to stop; for a process of its own, as the client holds Python's lock."""
    handler = type("Handler", (_GoogleHandler,), {"store": store})
    with _Server(("127.0.0.1", 0), handler) as server:
        connection.send(f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        connection.recv()
        server.shutdown()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Connections that were let go of are no news."""


@contextlib.contextmanager
def serving(store: LocalStore) -> Iterator[LocalStore]:
    """Serve a store on a free port of this machine."""
    handler = type("Handler", (_Handler,), {"store": store})
    with _Server(("127.0.0.1", 0), handler) as server:
        store.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield store
        server.shutdown()
        thread.join()
