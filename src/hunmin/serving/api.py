"""The part of OpenAI's protocol that a language model without chat needs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.types import Receive, Scope, Send

from hunmin.serving.app import Limits, ServedModel, make_app, not_served
from hunmin.serving.engine import Engine, Job
from hunmin.serving.events import Chunk
from hunmin.serving.guards import describe_error
from hunmin.serving.nlu.api import NluService
from hunmin.serving.nlu.api import router as nlu_router
from hunmin.serving.replies import ChoiceWriter, Reply, ReplyWriter, count_usage, merge_choices
from hunmin.serving.sequence import Deliver
from hunmin.serving.spec import SamplingParams
from hunmin.serving.wire import CompletionRequest, TokenIds, invalid

SECONDS_BETWEEN_DISCONNECT_CHECKS = 0.25
CLIENT_CLOSED_REQUEST = 499

router = APIRouter()


@dataclass(frozen=True)
class Service:
    """What the routes work with."""

    engine: Engine
    model_id: str
    limits: Limits


def create_app(
    engine: Engine,
    *,
    model_id: str,
    api_key: str | None = None,
    limits: Limits | None = None,
    nlu: NluService | None = None,
) -> FastAPI:
    """Build the web application.

    Args:
        engine: A running engine; the caller closes it.
        model_id: The name under which clients ask for the model.
        api_key: What clients must send as a bearer token; None lets everybody in.
        limits: What one request may ask for; the defaults if None.
        nlu: An NLU model that is served beside it; the caller closes it.

    Returns:
        An ASGI application.
    """
    service = Service(engine, model_id, limits or Limits())
    facts = {"max_model_len": engine.context}
    models = [ServedModel(model_id, engine, facts), *([nlu.model] if nlu else [])]
    routers = [router, *([nlu_router] if nlu else [])]
    app = make_app(models, routers, api_key=api_key, limits=limits)
    app.state.service = service
    app.state.nlu = nlu
    return app


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


def _refuse_other_model(service: Service, model_id: str | None) -> None:
    if model_id not in (None, service.model_id):
        raise not_served(model_id, [service.model_id])


@router.post("/v1/completions")
async def complete(request: Request, body: CompletionRequest) -> Response:
    """Continue prompts, whole or as a stream."""
    service = _service(request)
    _refuse_other_model(service, body.model)
    completion = Completion(service, body)
    await completion.submit()
    if body.stream:
        return CancellingStream(completion.job, completion.stream(request))
    return await completion.answer(request)


class Completion:
    """One request to /v1/completions on its way.

    Args:
        service: The engine and its limits.
        body: The request.
    """

    def __init__(self, service: Service, body: CompletionRequest) -> None:
        self.job: Job
        self._service = service
        self._body = body
        self._params: SamplingParams = body.sampling()
        self._inbox: asyncio.Queue[Chunk] = asyncio.Queue()
        self._reply = ReplyWriter(service.model_id)
        self._writers: dict[int, ChoiceWriter] = {}
        self._num_prompt_tokens = 0
        self._num_new_tokens = 0
        self._refuse_too_many_texts()

    def _refuse_too_many_texts(self) -> None:
        num_prompts, num_samples = len(self._body.prompts), self._body.n or 1
        limit = self._service.limits.max_texts
        if not num_prompts:
            raise invalid("prompt", "the list of prompts is empty")
        if num_prompts * num_samples > limit:
            problem = f"{num_prompts} prompts x {num_samples} samples; at most {limit} texts"
            raise invalid("n" if num_samples > 1 else "prompt", f"{problem} in one request")

    async def submit(self) -> None:
        """Encode the prompts and hand them to the engine."""
        encoded = await asyncio.to_thread(self._encode)
        self._num_prompt_tokens = sum(len(ids) for ids in encoded)
        num_samples = self._body.n or 1
        for number, ids in enumerate(encoded):
            for sample in range(num_samples):
                self._writers[number * num_samples + sample] = self._choice_writer(number, ids)
        self.job = self._service.engine.submit(
            encoded,
            self._params,
            num_samples=num_samples,
            scores_prompt=bool(self._body.echo) and self._params.logprobs is not None,
            deliver=_deliver_to(self._inbox),
        )

    def _encode(self) -> list[tuple[int, ...]]:
        engine = self._service.engine
        return [engine.encode(p, add_boundary=self._adds_boundary(p)) for p in self._body.prompts]

    def _adds_boundary(self, prompt: str | TokenIds) -> bool:
        return isinstance(prompt, str) and self._body.add_special_tokens is not False

    def _choice_writer(self, number: int, ids: tuple[int, ...]) -> ChoiceWriter:
        return ChoiceWriter(
            self._service.engine.table,
            ids if self._body.echo else None,
            hides_first=self._adds_boundary(self._body.prompts[number]),
            has_logprobs=self._params.logprobs is not None,
        )

    async def answer(self, request: Request) -> Response:
        """Wait for all texts and answer once.

        Args:
            request: Watched for a client that leaves.

        Returns:
            The answer.

        Raises:
            HunminError: A text could not be finished.
        """
        choices: list[Reply] = []
        async for chunk in self._arriving(request):
            if chunk.error is not None:
                self.job.cancel()
                raise chunk.error
            choice = self._writers[chunk.index].write(chunk)
            choices += [choice] if choice else []
        if self.job.is_cancelled:
            return Response(status_code=CLIENT_CLOSED_REQUEST)
        return JSONResponse(self._reply.write(merge_choices(choices), self._usage()))

    async def stream(self, request: Request) -> AsyncIterator[str]:
        """Answer piece by piece, as server-sent events.

        Args:
            request: Watched for a client that leaves.

        Yields:
            Events; the last one is `[DONE]`, unless an error ends the stream.
        """
        async for chunk in self._arriving(request):
            if chunk.error is not None:
                yield _event(describe_error(chunk.error)[1])
                return
            choice = self._writers[chunk.index].write(chunk)
            if choice:
                yield _event(self._reply.write([choice]))
        if self._body.stream_options and self._body.stream_options.include_usage:
            yield _event(self._reply.write([], self._usage()))
        yield "data: [DONE]\n\n"

    def _usage(self) -> dict[str, int]:
        return count_usage(self._num_prompt_tokens, self._num_new_tokens)

    async def _arriving(self, request: Request) -> AsyncIterator[Chunk]:
        """Yield chunks until all texts are over; a client that leaves cancels the job."""
        num_open, next_check = self.job.num_texts, 0.0
        while num_open:
            if time.monotonic() >= next_check:
                next_check = time.monotonic() + SECONDS_BETWEEN_DISCONNECT_CHECKS
                if await request.is_disconnected():
                    self.job.cancel()
                    return
            with contextlib.suppress(TimeoutError):
                chunk = await asyncio.wait_for(self._inbox.get(), SECONDS_BETWEEN_DISCONNECT_CHECKS)
                num_open -= chunk.is_last
                self._num_new_tokens += chunk.token is not None
                yield chunk


class CancellingStream(StreamingResponse):
    """A streamed answer that cancels its job however it ends.

    Args:
        job: The job that feeds the stream.
        content: The events.
    """

    def __init__(self, job: Job, content: AsyncIterator[str]) -> None:
        super().__init__(content, media_type="text/event-stream")
        self.headers["cache-control"] = "no-cache"
        self._job = job

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._job.cancel()


def _deliver_to(inbox: asyncio.Queue[Chunk]) -> Deliver:
    """Return a function that hands chunks from the engine's thread to this event loop."""
    loop = asyncio.get_running_loop()

    def deliver(chunk: Chunk) -> None:
        # A closed loop means that the server has stopped: nobody listens any more.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(inbox.put_nowait, chunk)

    return deliver


def _event(reply: Reply) -> str:
    return f"data: {json.dumps(reply, ensure_ascii=False)}\n\n"
