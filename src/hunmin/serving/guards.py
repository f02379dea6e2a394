"""What stands between the network and the routes: the key, the size limit, the shape of errors."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hunmin.core.errors import ContextLengthError, HunminError, InputError, OutOfMemoryError
from hunmin.core.logs import get_logger
from hunmin.serving.errors import EngineBusyError, EngineClosedError
from hunmin.serving.replies import Reply, error_body

logger: logging.Logger = get_logger(__name__)
RETRY_AFTER_SECONDS = 2


class Gate:
    """Refuses requests without the key, and bodies that are too large, before they are read.

    Args:
        app: The application behind the gate.
        api_key: What must follow `Authorization: Bearer`; None lets everybody in.
        max_body_bytes: Largest body.
    """

    def __init__(self, app: ASGIApp, *, api_key: str | None, max_body_bytes: int) -> None:
        self._app = app
        self._api_key = api_key
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request pass, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        if scope["path"].startswith("/v1") and not self._has_key(headers):
            await _unauthorized()(scope, receive, send)
        elif _declared_bytes(headers) > self._max_body_bytes:
            await self._too_large()(scope, receive, send)
        else:
            await self._app(scope, self._counting(receive), send)

    def _has_key(self, headers: dict[bytes, bytes]) -> bool:
        if self._api_key is None:
            return True
        scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
        is_same = hmac.compare_digest(given.strip(), self._api_key.encode())
        return is_same and scheme.lower() == b"bearer"

    def _counting(self, receive: Receive) -> Receive:
        num_bytes = 0

        async def receive_at_most() -> Message:
            nonlocal num_bytes
            message = await receive()
            num_bytes += len(message.get("body", b""))
            if num_bytes > self._max_body_bytes:
                raise HTTPException(413, f"the request is larger than {self._max_body_bytes} bytes")
            return message

        return receive_at_most

    def _too_large(self) -> JSONResponse:
        problem = f"the request is larger than {self._max_body_bytes} bytes"
        return JSONResponse(error_body(problem, "invalid_request_error", code="413"), 413)


def _declared_bytes(headers: dict[bytes, bytes]) -> int:
    declared = headers.get(b"content-length", b"0")
    return int(declared) if declared.isdigit() else 0


def _unauthorized() -> JSONResponse:
    problem = "the key is missing or wrong; send `Authorization: Bearer KEY`"
    body = error_body(problem, "authentication_error", code="invalid_api_key")
    return JSONResponse(body, 401, headers={"www-authenticate": "Bearer"})


def describe_error(error: HunminError) -> tuple[int, Reply]:
    """Return the status and the body that tell a client of an error."""
    if isinstance(error, ContextLengthError):
        kind, status, code = "invalid_request_error", 400, "context_length_exceeded"
    elif isinstance(error, InputError):
        kind, status, code = "invalid_request_error", 400, "invalid_value"
    elif isinstance(error, EngineBusyError):
        kind, status, code = "rate_limit_error", 429, "queue_full"
    elif isinstance(error, EngineClosedError):
        kind, status, code = "server_error", 503, "shutting_down"
    elif isinstance(error, OutOfMemoryError):
        kind, status, code = "server_error", 503, "out_of_memory"
    else:
        kind, status, code = "server_error", 500, "internal_error"
    param = "prompt" if status == 400 else None
    return status, error_body(str(error), kind, param=param, code=code)


def install_error_handlers(app: FastAPI) -> None:
    """Make every error of the application answer in the protocol's shape."""
    app.add_exception_handler(HunminError, _answer_hunmin_error)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(StarletteHTTPException, _answer_http_error)
    app.add_exception_handler(Exception, _answer_unexpected)


async def _answer_hunmin_error(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HunminError):
        raise error
    status, body = describe_error(error)
    busy = status in (429, 503)
    headers = {"retry-after": str(RETRY_AFTER_SECONDS)} if busy else None
    return JSONResponse(body, status, headers=headers)


async def _answer_invalid(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    param, problem = _first_problem(error.errors())
    message = f"{param}: {problem}" if param else problem
    code = error.errors()[0].get("ctx", {}).get("code", "invalid_value")
    body = error_body(message, "invalid_request_error", param=param, code=code)
    return JSONResponse(body, 400)


def _first_problem(problems: Sequence[Any]) -> tuple[str | None, str]:
    place = [str(part) for part in problems[0]["loc"] if part != "body"]
    if problems[0]["type"] == "json_invalid":
        return None, f"the body is not JSON: {problems[0]['ctx']['error']}"
    if not place:
        return None, "send a JSON object, with the header `content-type: application/json`"
    if place[:1] == ["prompt"] and len(place) > 1:
        # Each of the forms that a prompt may have complains; none of them knows of the others.
        return "prompt", "give a text, a list of texts, token ids, or a list of lists of token ids"
    item = f"item {place[1]}: " if place[1:] and place[1].isdigit() else ""
    return place[0], item + str(problems[0]["msg"])


async def _answer_http_error(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, StarletteHTTPException):
        raise error
    kind = "invalid_request_error" if error.status_code < 500 else "server_error"
    code = {404: "not_found", 405: "method_not_allowed"}.get(
        error.status_code, str(error.status_code)
    )
    headers = dict(error.headers or {})
    return JSONResponse(error_body(str(error.detail), kind, code=code), error.status_code, headers)


async def _answer_unexpected(request: Request, error: Exception) -> JSONResponse:
    logger.error("request to %s failed", request.url.path, exc_info=error)
    body = error_body("the server failed; its log says why", "server_error", code="internal_error")
    return JSONResponse(body, 500)
