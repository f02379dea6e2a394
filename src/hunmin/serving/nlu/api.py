"""The route POST /v1/nlu, alone or beside those of a language model. No torch here."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType

from fastapi import APIRouter, FastAPI, Request

from hunmin.adapt.nlu.decode import NUM_BEST, Parse
from hunmin.serving.app import Limits, ServedModel, make_app, not_served
from hunmin.serving.errors import EngineBusyError, EngineClosedError
from hunmin.serving.nlu.engine import Parser
from hunmin.serving.nlu.wire import NluReply, NluRequest, write_reply

router = APIRouter()


class NluService:
    """Parses utterances of requests in threads of its own; more than it can hold are refused.

    Args:
        parser: Parses texts.
        model_id: The name under which clients ask for it.
        num_workers: Requests that are worked on at the same time; no more than there are cores.
        max_waiting: A request is refused while this many wait.
        batch_size: Utterances of one call of the network. More than one is up to twice as fast
            for requests with many, but int8 may then parse an utterance in another way beside
            others than alone.
        limits: What one request may ask for; the defaults if None.
    """

    def __init__(
        self,
        parser: Parser,
        model_id: str,
        *,
        num_workers: int = 1,
        max_waiting: int = 64,
        batch_size: int = 1,
        limits: Limits | None = None,
    ) -> None:
        self.parser = parser
        self.limits = limits or Limits()
        facts = {
            "task": "nlu",
            "max_characters": self.limits.max_characters,
            "intents": list(parser.config.intents),
            "slot_types": list(parser.config.slot_types),
            "trained_locales": list(parser.config.train_locales),
        }
        self.model = ServedModel(model_id, self, facts)
        self._pool = ThreadPoolExecutor(num_workers, thread_name_prefix="nlu")
        self._num_workers = num_workers
        self._max_waiting = max_waiting
        self._batch_size = batch_size
        self._num_open = 0
        self._is_alive = True

    def __enter__(self) -> NluService:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Finish what is under way, and take nothing more."""
        self._is_alive = False
        self._pool.shutdown()

    @property
    def is_alive(self) -> bool:
        """Whether requests are taken."""
        return self._is_alive

    @property
    def num_running(self) -> int:
        """Requests under way."""
        return min(self._num_open, self._num_workers)

    @property
    def num_waiting(self) -> int:
        """Requests that wait."""
        return self._num_open - self.num_running

    async def parse(self, texts: list[str], locale: str, num_best: int) -> list[Parse]:
        """Parse the utterances of one request.

        Args:
            texts: The utterances.
            locale: Their locale; empty for none.
            num_best: Intents to name.

        Returns:
            One parse for each.

        Raises:
            EngineBusyError: Too many requests wait.
            EngineClosedError: The service was closed.
        """
        if not self._is_alive:
            raise EngineClosedError("the server is shutting down")
        if self.num_waiting >= self._max_waiting:
            raise EngineBusyError(
                "too many requests are waiting", given=self.num_waiting, allowed=self._max_waiting
            )
        self._num_open += 1
        try:
            work = partial(
                self.parser.parse, texts, locale, batch_size=self._batch_size, num_best=num_best
            )
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._num_open -= 1


def create_nlu_app(service: NluService, *, api_key: str | None = None) -> FastAPI:
    """Build the web application of an NLU model alone.

    Args:
        service: Parses the utterances; the caller closes it.
        api_key: What clients must send as a bearer token; None lets everybody in.

    Returns:
        An ASGI application.
    """
    app = make_app([service.model], [router], api_key=api_key, limits=service.limits)
    app.state.nlu = service
    return app


@router.post("/v1/nlu")
async def understand(request: Request, body: NluRequest) -> NluReply:
    """Find the intent and the slots of one or several utterances."""
    service: NluService = request.app.state.nlu
    if body.model not in (None, service.model.id):
        raise not_served(body.model, [service.model.id])
    texts, locale = body.utterances(service.limits), body.language_tag()
    parses = await service.parse(texts, locale, body.n_best or NUM_BEST)
    return write_reply(service.model.id, service.parser.config, locale, texts, parses)
