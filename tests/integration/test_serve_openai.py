"""The official client against `hunmin serve`'s application, over a real socket."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import openai
import pytest
from tests.support.tiny_models import tiny_gpt2, tiny_tokenizer

from hunmin.serving.api import create_app
from hunmin.serving.engine import Engine
from hunmin.serving.server import Server, address_of, listen
from hunmin.serving.spec import SamplingParams

SECONDS = 20
NEVER_ENDING = {"max_tokens": 4000, "extra_body": {"min_tokens": 4000}}


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine(
        tiny_gpt2(448, context=4096), tiny_tokenizer(), num_rows=4, max_waiting=4
    ) as engine:
        yield engine


@pytest.fixture(scope="module")
def url(engine: Engine) -> Iterator[str]:
    ready = threading.Event()
    listener = listen("127.0.0.1", 0)
    address = address_of(listener)
    server = Server(create_app(engine, model_id="tiny"), on_ready=ready.set)
    thread = threading.Thread(target=server.serve_until_stopped, args=(listener,))
    thread.start()
    assert ready.wait(SECONDS)
    yield address
    server.should_exit = True
    thread.join(SECONDS)
    assert not thread.is_alive()


@pytest.fixture
def client(url: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=f"{url}/v1", api_key="unused", timeout=SECONDS, max_retries=0
    ) as client:
        yield client


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


def test_models(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["tiny"]
    assert client.models.retrieve("tiny").owned_by == "hunmin"
    with pytest.raises(openai.NotFoundError, match="not served here"):
        client.models.retrieve("other")


def test_a_completion_is_that_of_the_engine(client: openai.OpenAI, engine: Engine) -> None:
    answer = client.completions.create(
        model="tiny", prompt="자유", max_tokens=20, temperature=0.8, seed=3, top_p=0.9,
        extra_body={"top_k": 50, "repetition_penalty": 1.2},
    )  # fmt: skip
    params = SamplingParams(
        max_tokens=20, temperature=0.8, seed=3, top_p=0.9, top_k=50, repetition_penalty=1.2
    )
    [expected] = engine.generate(["자유"], params)
    assert answer.choices[0].text == expected.text
    assert answer.choices[0].finish_reason == expected.finish_reason
    assert answer.usage is not None
    assert answer.usage.completion_tokens == len(expected.tokens)


def test_a_stream_has_the_same_text_and_ends_with_usage(client: openai.OpenAI) -> None:
    def create(stream: bool) -> object:
        return client.completions.create(
            model="tiny", prompt=["자유", "b"], max_tokens=20, temperature=1, seed=3, n=2,
            stream=stream, **({"stream_options": {"include_usage": True}} if stream else {}),
        )  # fmt: skip

    whole = create(stream=False)
    *chunks, last = create(stream=True)
    assert last.usage == whole.usage
    for choice in whole.choices:
        pieces = [c.choices[0].text for c in chunks if c.choices[0].index == choice.index]
        assert "".join(pieces) == choice.text
        assert len(pieces) > 1


def test_log_probabilities_of_an_echoed_prompt(client: openai.OpenAI, engine: Engine) -> None:
    answer = client.completions.create(
        model="tiny", prompt=list(engine.encode("자유")), max_tokens=0, echo=True, logprobs=2
    )
    logprobs = answer.choices[0].logprobs
    assert answer.choices[0].text == "자유"
    assert logprobs is not None
    assert logprobs.token_logprobs is not None
    assert logprobs.token_logprobs[0] is None
    assert all(logprob < 0 for logprob in logprobs.token_logprobs[1:])


@pytest.mark.parametrize("stream", [False, True])
def test_errors_reach_the_client_with_code_and_field(client: openai.OpenAI, stream: bool) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(model="tiny", prompt="a", temperature=-1, stream=stream)
    assert (caught.value.param, caught.value.code) == ("temperature", "invalid_value")
    assert "greater than or equal to 0" in caught.value.message
    with pytest.raises(openai.BadRequestError, match="longer than the model's context") as long:
        client.completions.create(model="tiny", prompt=[2] * 5000, stream=stream)
    assert long.value.code == "context_length_exceeded"


def test_closing_a_stream_stops_the_work(client: openai.OpenAI, engine: Engine) -> None:
    stream = client.completions.create(model="tiny", prompt="a", stream=True, **NEVER_ENDING)
    next(iter(stream))
    assert engine.num_running == 1
    stream.close()
    wait_until(lambda: engine.num_running == 0)


def test_hanging_up_on_a_whole_answer_stops_the_work(url: str, engine: Engine) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=SECONDS)
    body = json.dumps({"prompt": "a", "max_tokens": 4000, "min_tokens": 4000})
    connection.request("POST", "/v1/completions", body, {"Content-Type": "application/json"})
    wait_until(lambda: engine.num_running == 1)
    connection.close()
    wait_until(lambda: engine.num_running == 0)


def test_many_abrupt_ends_leave_nothing_behind(url: str, engine: Engine) -> None:
    body = b'{"prompt": "a", "max_tokens": 4000, "min_tokens": 4000, "stream": true}'
    head = b"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    request = head + b"content-length: %d\r\n\r\n" % len(body) + body
    for _ in range(12):
        with socket.create_connection(("127.0.0.1", urlsplit(url).port or 0), SECONDS) as raw:
            raw.sendall(request)
            wait_until(lambda: engine.num_running + engine.num_waiting > 0)
        wait_until(lambda: engine.num_running + engine.num_waiting < 4)
    wait_until(lambda: engine.num_running == engine.num_waiting == 0)


def test_a_full_queue_is_told_and_does_not_last(client: openai.OpenAI, engine: Engine) -> None:
    long = SamplingParams(max_tokens=4000, min_tokens=4000)
    job = engine.submit([(0,)] * 8, long, deliver=lambda chunk: None)
    wait_until(lambda: engine.num_waiting == 4)
    with pytest.raises(openai.RateLimitError, match="too many requests are waiting") as caught:
        client.completions.create(model="tiny", prompt="a")
    assert caught.value.response.headers["retry-after"]
    job.cancel()
    assert client.completions.create(model="tiny", prompt="a", max_tokens=1).choices


def test_requests_at_the_same_time_get_their_own_answers(
    client: openai.OpenAI, engine: Engine
) -> None:
    # As many as may wait: on a slow machine none is taken up before the last one comes.
    prompts = ["자유", "All human", "b", ""]
    answers: dict[str, str] = {}

    def ask(prompt: str) -> None:
        answer = client.completions.create(
            model="tiny", prompt=prompt, temperature=0, max_tokens=30
        )
        answers[prompt] = answer.choices[0].text

    threads = [threading.Thread(target=ask, args=(prompt,)) for prompt in prompts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    expected = engine.generate(prompts, SamplingParams(temperature=0, max_tokens=30))
    assert answers == {p: e.text for p, e in zip(prompts, expected, strict=True)}
