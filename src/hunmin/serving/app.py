"""The web application around the routes: guards, health, the list of models. No torch here."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from fastapi import APIRouter, FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

import hunmin
from hunmin.serving.guards import Gate, install_error_handlers
from hunmin.serving.replies import Reply

router = APIRouter()


class ErrorDetail(BaseModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorReply(BaseModel):
    """Body of every answer with a status of 400 or more."""

    error: ErrorDetail


# Named so that the schema does not promise FastAPI's own form of errors.
ERRORS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": ErrorReply},
    "5XX": {"model": ErrorReply},
}


@dataclass(frozen=True)
class Limits:
    """What one request may ask for."""

    max_body_bytes: int = 4 * 1024 * 1024
    max_texts: int = 128
    max_characters: int = 1000
    """Of one utterance; texts that are written on are limited by the model's context."""


class Status(Protocol):
    """How busy a model is."""

    @property
    def is_alive(self) -> bool:
        """Whether requests are taken."""
        ...

    @property
    def num_running(self) -> int:
        """Texts under way."""
        ...

    @property
    def num_waiting(self) -> int:
        """Texts that wait."""
        ...


@dataclass(frozen=True)
class ServedModel:
    """One model behind the routes.

    Args:
        id: The name under which clients ask for it.
        status: How busy it is.
        facts: What else /v1/models says of it.
        created: Unix time from which on it was served.
    """

    id: str
    status: Status
    facts: Reply = field(default_factory=dict)
    created: int = field(default_factory=lambda: int(time.time()))

    def describe(self) -> Reply:
        """Return what /v1/models says."""
        head = {"id": self.id, "object": "model", "created": self.created, "owned_by": "hunmin"}
        return {**head, **self.facts}


def make_app(
    models: Sequence[ServedModel],
    routers: Iterable[APIRouter],
    *,
    api_key: str | None = None,
    limits: Limits | None = None,
) -> FastAPI:
    """Build the web application.

    Args:
        models: What is served.
        routers: The routes of their kinds.
        api_key: What clients must send as a bearer token; None lets everybody in.
        limits: What one request may ask for; the defaults if None.

    Returns:
        An ASGI application; /openapi.json describes it.
    """
    app = FastAPI(title="hunmin", version=hunmin.__version__, docs_url=None, redoc_url=None)
    app.state.models = tuple(models)
    for some in (router, *routers):
        app.include_router(some, responses=ERRORS)
    limits = limits or Limits()
    app.add_middleware(Gate, api_key=api_key, max_body_bytes=limits.max_body_bytes)
    install_error_handlers(app)
    return app


def _models(request: Request) -> tuple[ServedModel, ...]:
    models: tuple[ServedModel, ...] = request.app.state.models
    return models


@router.get("/health")
async def health(request: Request) -> JSONResponse:
    """Say whether requests are taken, and how many are under way."""
    states = [model.status for model in _models(request)]
    is_alive = all(state.is_alive for state in states)
    running = sum(state.num_running for state in states)
    waiting = sum(state.num_waiting for state in states)
    body = {"status": "ok" if is_alive else "closed", "running": running, "waiting": waiting}
    return JSONResponse(body, 200 if is_alive else 503)


@router.get("/version")
async def version() -> Reply:
    """Say which version of hunmin answers."""
    return {"version": hunmin.__version__}


@router.get("/v1/models")
async def list_models(request: Request) -> Reply:
    """List what is served."""
    return {"object": "list", "data": [model.describe() for model in _models(request)]}


@router.get("/v1/models/{model_id:path}")
async def retrieve_model(request: Request, model_id: str) -> Response:
    """Describe a model."""
    for model in _models(request):
        if model.id == model_id:
            return JSONResponse(model.describe())
    raise not_served(model_id, [model.id for model in _models(request)])


def not_served(model_id: str, served: Sequence[str]) -> HTTPException:
    """Make the error that a model gives which is not here.

    Args:
        model_id: What was asked for.
        served: What could have been.

    Returns:
        A 404.
    """
    here = " and ".join(f"'{name}'" for name in served)
    return HTTPException(404, f"the model '{model_id}' is not served here; this is {here}")
