"""The HTTP API without a socket: answers, errors, limits, log-probabilities."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
import torch
from tests.support.tiny_models import CONTEXT, tiny_gpt2, tiny_qwen3
from transformers import PreTrainedModel

import hunmin
from hunmin.serving.api import Limits, create_app
from hunmin.serving.engine import Engine
from hunmin.serving.errors import EngineBusyError
from hunmin.serving.spec import SamplingParams
from hunmin.tokenizer.load import TextTokenizer

Call = Callable[..., httpx.Response]
KEY = "sécret-key"


def caller(app: Any) -> Call:
    """Return a function that sends one request to an application."""

    def call(method: str, path: str, **arguments: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await client.request(method, path, **arguments)

        return asyncio.run(send())

    return call


@pytest.fixture(scope="module")
def served() -> PreTrainedModel:
    return tiny_qwen3(448)


@pytest.fixture(scope="module")
def engine(served: PreTrainedModel, tokenizer: TextTokenizer) -> Iterator[Engine]:
    with Engine(served, tokenizer, num_rows=4, max_waiting=4) as engine:
        yield engine


@pytest.fixture(scope="module")
def call(engine: Engine) -> Call:
    return caller(create_app(engine, model_id="tiny"))


def complete(call: Call, **body: Any) -> dict[str, Any]:
    answer = call("POST", "/v1/completions", json={"temperature": 0, **body})
    assert answer.status_code == 200, answer.text
    whole: dict[str, Any] = answer.json()
    return whole


def events(text: str) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def test_health_version_and_models(call: Call) -> None:
    assert call("GET", "/health").json() == {"status": "ok", "running": 0, "waiting": 0}
    assert call("GET", "/version").json() == {"version": hunmin.__version__}
    [model] = call("GET", "/v1/models").json()["data"]
    assert (model["id"], model["object"], model["max_model_len"]) == ("tiny", "model", CONTEXT)
    assert call("GET", "/v1/models/tiny").json() == model


def test_an_answer_has_text_reason_and_usage(call: Call, engine: Engine) -> None:
    answer = complete(call, prompt="자유", max_tokens=5, model="tiny", user="누구", new_option=1)
    [choice] = answer["choices"]
    assert choice["index"] == 0
    assert choice["finish_reason"] == "length"
    assert choice["logprobs"] is None
    assert (answer["object"], answer["model"]) == ("text_completion", "tiny")
    num_prompt_tokens = len(engine.encode("자유"))
    assert answer["usage"] == {
        "prompt_tokens": num_prompt_tokens,
        "completion_tokens": 5,
        "total_tokens": num_prompt_tokens + 5,
    }


def test_all_forms_of_prompts(call: Call, engine: Engine) -> None:
    texts = ["자유", "All human"]
    ids = [list(engine.encode(text)) for text in texts]
    single = [complete(call, prompt=text)["choices"][0]["text"] for text in texts]
    assert [c["text"] for c in complete(call, prompt=texts)["choices"]] == single
    assert [c["text"] for c in complete(call, prompt=ids)["choices"]] == single
    assert complete(call, prompt=ids[0])["choices"][0]["text"] == single[0]
    assert complete(call)["choices"][0]["text"] == complete(call, prompt="")["choices"][0]["text"]


def test_ids_are_taken_as_they_are_and_texts_begin_a_document(call: Call, engine: Engine) -> None:
    bare = engine.tokenizer.encode("자유")
    with_ids = complete(call, prompt=bare)
    without_boundary = complete(call, prompt="자유", add_special_tokens=False)
    assert with_ids["choices"] == without_boundary["choices"]
    assert with_ids["usage"]["prompt_tokens"] == len(bare)
    assert complete(call, prompt="자유")["usage"]["prompt_tokens"] == len(bare) + 1


def test_samples_seed_and_stop(call: Call) -> None:
    request = {"prompt": ["a", "b"], "n": 2, "temperature": 1.5, "seed": 7, "max_tokens": 30}
    first, second = complete(call, **request), complete(call, **request)
    assert first["choices"] == second["choices"]
    assert [c["index"] for c in first["choices"]] == [0, 1, 2, 3]
    assert len({c["text"] for c in first["choices"]}) == 4
    text = first["choices"][0]["text"]
    stop = text[4:6]
    stopped = complete(call, **{**request, "prompt": "a", "n": 1, "stop": [stop, "\x00"]})
    assert stopped["choices"][0]["text"] == text[: text.index(stop)]
    assert stopped["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize("extra", [{}, {"echo": True}, {"echo": True, "logprobs": 2}])
def test_a_stream_adds_up_to_the_whole_answer(call: Call, extra: dict[str, Any]) -> None:
    request = {
        "prompt": ["자유", "b"], "n": 2, "temperature": 1.2, "seed": 1, "max_tokens": 12, **extra
    }  # fmt: skip
    whole = complete(call, **request)
    stream = {"stream": True, "stream_options": {"include_usage": True}}
    answer = call("POST", "/v1/completions", json={**request, **stream})
    assert answer.headers["content-type"].startswith("text/event-stream")
    *pieces, last = events(answer.text)
    assert (last["choices"], last["usage"]) == ([], whole["usage"])
    for expected in whole["choices"]:
        mine = [p["choices"][0] for p in pieces if p["choices"][0]["index"] == expected["index"]]
        assert "".join(choice["text"] for choice in mine) == expected["text"]
        assert mine[-1]["finish_reason"] == expected["finish_reason"]
        for key, values in (expected["logprobs"] or {}).items():
            assert [value for c in mine for value in c["logprobs"][key]] == values
    assert {piece["id"] for piece in pieces} == {last["id"]}


def test_a_stream_without_the_option_has_no_usage(call: Call) -> None:
    body = {"prompt": "a", "max_tokens": 2, "stream": True}
    streamed = events(call("POST", "/v1/completions", json=body).text)
    assert all(event["usage"] is None for event in streamed)


# What evaluation harnesses rely on.


def log_likelihood(
    call: Call, ids: list[int], num_context: int, max_tokens: int
) -> tuple[float, bool]:
    """Sum the continuation's log-probabilities as lm-evaluation-harness does."""
    [choice] = complete(call, prompt=ids, max_tokens=max_tokens, logprobs=1, echo=True)["choices"]
    logprobs = choice["logprobs"]
    end = -1 if max_tokens else None
    total = sum(logprobs["token_logprobs"][num_context:end])
    places = zip(
        logprobs["token_logprobs"][num_context:end],
        logprobs["top_logprobs"][num_context:end],
        strict=True,
    )
    return total, all(chosen == max(top.values()) for chosen, top in places)


@pytest.mark.parametrize("max_tokens", [0, 1])
def test_log_likelihood_equals_a_forward_pass(
    call: Call, engine: Engine, served: PreTrainedModel, max_tokens: int
) -> None:
    for context, continuation in [("자유", "롭고"), ("All human", " beings are"), ("", "x")]:
        before, after = engine.encode(context), engine.tokenizer.encode(continuation)
        ids = [*before, *after]
        with torch.no_grad():
            logits = served(torch.tensor([ids])).logits[0]
        rows = range(len(before) - 1, len(ids) - 1)
        expected = sum(logits.log_softmax(-1)[row, ids[row + 1]].item() for row in rows)
        total, is_greedy = log_likelihood(call, ids, len(before), max_tokens)
        assert total == pytest.approx(expected, abs=1e-4)
        masked = logits[:, : engine.tokenizer.size]
        assert is_greedy == all(masked[row].argmax().item() == ids[row + 1] for row in rows)


def test_a_greedy_continuation_is_recognised(call: Call, engine: Engine) -> None:
    context = list(engine.encode("자유"))
    [answer] = engine.generate([context], SamplingParams(temperature=0, max_tokens=6, min_tokens=6))
    assert log_likelihood(call, [*context, *answer.token_ids], len(context), 1)[1]


def test_echoed_arrays_have_the_prompt_and_the_one_generated_token_even_at_the_end_of_the_text(
    tokenizer: TextTokenizer,
) -> None:
    model = tiny_gpt2(448)
    with torch.no_grad():
        model.lm_head.weight.zero_()
    with Engine(model, tokenizer) as engine:
        call = caller(create_app(engine, model_id="ends-at-once"))
        [choice] = complete(call, prompt=[0, 5, 6], max_tokens=1, logprobs=1, echo=True)["choices"]
    logprobs = choice["logprobs"]
    assert [len(values) for values in logprobs.values()] == [4, 4, 4, 4]
    assert logprobs["tokens"][-1] == "<|endoftext|>"
    assert logprobs["token_logprobs"][0] is logprobs["top_logprobs"][0] is None
    assert choice["finish_reason"] == "stop"
    assert choice["text"] == tokenizer.decode([0, 5, 6])


def test_tokens_that_are_no_text_have_names_of_their_own(call: Call, engine: Engine) -> None:
    request = {"prompt": "a", "temperature": 3, "seed": 1, "max_tokens": 40, "logprobs": 20}
    [choice] = complete(call, **request)["choices"]
    tops = choice["logprobs"]["top_logprobs"]
    assert all(len(top) in (20, 21) for top in tops)
    assert any(name.startswith("bytes:\\x") for top in tops for name in top)
    assert all("\ufffd" not in name for top in tops for name in top)
    for name, logprob, top in zip(
        choice["logprobs"]["tokens"], choice["logprobs"]["token_logprobs"], tops, strict=True
    ):
        assert top[name] == logprob


def test_offsets_count_characters_of_the_text(call: Call, engine: Engine) -> None:
    [choice] = complete(call, prompt="자유 b", max_tokens=0, logprobs=0, echo=True)["choices"]
    assert choice["text"] == "자유 b"
    ids, offsets = engine.tokenizer.encode("자유 b"), choice["logprobs"]["text_offset"]
    assert len(offsets) == len(ids)
    for place, offset in enumerate(offsets):
        before = b"".join(engine.tokenizer.token_bytes(token_id) for token_id in ids[:place])
        assert offset == len(before.decode("utf-8", errors="ignore"))


# Errors.


@pytest.mark.parametrize(
    ("body", "param", "message"),
    [
        ({"temperature": -1}, "temperature", "greater than or equal to 0"),
        ({"top_p": 0}, "top_p", "greater than 0"),
        ({"max_tokens": -1}, "max_tokens", "greater than or equal to 0"),
        ({"max_tokens": "many"}, "max_tokens", "valid integer"),
        ({"n": 0}, "n", "greater than or equal to 1"),
        ({"n": 1000}, "n", "at most 16 texts"),
        ({"prompt": ["a"] * 17}, "prompt", "at most 16 texts"),
        ({"prompt": []}, "prompt", "the list of prompts is empty"),
        ({"prompt": [[]]}, "prompt", "the prompt is empty"),
        ({"prompt": [999_999]}, "prompt", "the tokenizer has no such token"),
        ({"prompt": [-1]}, "prompt", "the tokenizer has no such token"),
        ({"prompt": [2] * (CONTEXT + 1)}, "prompt", "longer than the model's context"),
        ({"prompt": "\ud800"}, "prompt", "lone surrogate"),
        ({"prompt": {"a": 1}}, "prompt", "give a text, a list of texts"),
        ({"prompt": [1, "a"]}, "prompt", "give a text, a list of texts"),
        ({"logprobs": 21}, "logprobs", "less than or equal to 20"),
        ({"stop": ["x"] * 17}, "stop", "at most 16"),
        ({"stop": ""}, "stop", "an empty stop string"),
        ({"seed": 2**70}, "seed", "seed"),
        ({"suffix": "end"}, "suffix", "not supported"),
        ({"logit_bias": {"5": 1}}, "logit_bias", "not supported"),
        ({"best_of": 3}, "best_of", "not supported"),
        ({"frequency_penalty": 0.5}, "frequency_penalty", "not supported"),
    ],
)
def test_what_cannot_be_done_is_a_400_that_names_the_field(
    engine: Engine, body: dict[str, Any], param: str, message: str
) -> None:
    call = caller(create_app(engine, model_id="tiny", limits=Limits(max_texts=16)))
    # Written with escapes: a lone surrogate cannot be sent as UTF-8.
    answer = call(
        "POST",
        "/v1/completions",
        content=json.dumps({"prompt": "a", **body}),
        headers={"content-type": "application/json"},
    )
    error = answer.json()["error"]
    assert answer.status_code == 400
    assert error["type"] == "invalid_request_error"
    assert error["param"] == param
    assert message in error["message"]
    assert set(error) == {"message", "type", "param", "code"}


def test_a_prompt_that_is_too_long_has_a_code_of_its_own(call: Call) -> None:
    answer = call("POST", "/v1/completions", json={"prompt": [2] * 999, "stream": True})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "context_length_exceeded"


def test_neutral_values_of_options_that_are_not_offered_are_accepted(call: Call) -> None:
    complete(
        call, prompt="a", suffix=None, best_of=1, logit_bias={}, frequency_penalty=0.0, top_k=-1
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"{", "the body is not JSON"), (b"", "send a JSON object"), (b"[1]", "send a JSON object")],
)
def test_bodies_that_are_no_requests(call: Call, content: bytes, message: str) -> None:
    headers = {"content-type": "application/json"}
    answer = call("POST", "/v1/completions", content=content, headers=headers)
    assert answer.status_code == 400
    assert message in answer.json()["error"]["message"]


def test_other_routes_methods_and_models(call: Call) -> None:
    for method, path, status, code in [
        ("GET", "/v1/nothing", 404, "not_found"),
        ("GET", "/v1/completions", 405, "method_not_allowed"),
        ("GET", "/v1/models/other/one", 404, "not_found"),
    ]:
        answer = call(method, path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    answer = call(
        "POST",
        "/v1/completions",
        content=b'{"model": "gpt-\\ud800", "prompt": "a"}',
        headers={"content-type": "application/json"},
    )
    assert answer.status_code == 404
    assert "is not served here; this is 'tiny'" in answer.json()["error"]["message"]


def test_bodies_beyond_the_limit_are_refused_declared_or_not(engine: Engine) -> None:
    call = caller(create_app(engine, model_id="tiny", limits=Limits(max_body_bytes=1000)))

    async def undeclared() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 100

    headers = {"content-type": "application/json"}
    for content in (b"x" * 1001, undeclared()):
        answer = call("POST", "/v1/completions", content=content, headers=headers)
        assert answer.status_code == 413
        assert answer.json()["error"]["message"] == "the request is larger than 1000 bytes"
    assert call("POST", "/v1/completions", json={"prompt": "a", "max_tokens": 1}).status_code == 200


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic sécret-key", KEY, "Bearer ' OR 1=1 --",
     "Bearer \x00", "Bearer 열쇠", "Bearer " + "x" * 100_000],
)  # fmt: skip
def test_without_the_key_nothing_but_health_and_version_answers(
    engine: Engine, header: str | None
) -> None:
    call = caller(create_app(engine, model_id="tiny", api_key=KEY))
    headers = {} if header is None else {b"authorization": header.encode()}
    for method, path in [
        ("GET", "/v1/models"), ("GET", "/v1/models/tiny"), ("POST", "/v1/completions"),
        ("GET", "/v1/nothing"),
    ]:  # fmt: skip
        answer = call(method, path, headers=headers)
        assert answer.status_code == 401
        assert answer.json()["error"]["code"] == "invalid_api_key"
    assert call("GET", "/health").status_code == 200
    assert call("GET", "/version").status_code == 200


def test_with_the_key_everything_answers(engine: Engine) -> None:
    call = caller(create_app(engine, model_id="tiny", api_key=KEY))
    for scheme in ("Bearer", "bearer"):
        headers = {b"authorization": f"{scheme} {KEY}".encode()}
        assert call("GET", "/v1/models", headers=headers).status_code == 200


def test_any_key_is_accepted_where_none_is_needed(call: Call) -> None:
    assert call("GET", "/v1/models", headers={"authorization": "Bearer "}).status_code == 200


def test_a_full_queue_is_a_429_that_says_when_to_come_back(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise EngineBusyError("too many requests are waiting")

    monkeypatch.setattr(engine, "submit", refuse)
    answer = call("POST", "/v1/completions", json={"prompt": "a", "stream": True})
    assert answer.status_code == 429
    assert answer.json()["error"]["code"] == "queue_full"
    assert int(answer.headers["retry-after"]) > 0


def test_a_closed_engine_is_a_503(served: PreTrainedModel, tokenizer: TextTokenizer) -> None:
    engine = Engine(served, tokenizer)
    engine.close()
    call = caller(create_app(engine, model_id="tiny"))
    answer = call("POST", "/v1/completions", json={"prompt": "a"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "shutting_down")
    assert call("GET", "/health").status_code == 503


def test_failures_of_the_model_are_told_whole_and_in_a_stream(
    engine: Engine, served: PreTrainedModel, monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise MemoryError

    monkeypatch.setattr(served.model, "forward", fail)
    body = {"prompt": "a"}
    answer = call("POST", "/v1/completions", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "out_of_memory")
    streamed = call("POST", "/v1/completions", json={**body, "stream": True})
    assert streamed.status_code == 200
    [event] = streamed.text.strip().split("\n\n")
    assert json.loads(event.removeprefix("data: "))["error"]["code"] == "out_of_memory"


def test_a_fault_of_the_server_tells_nothing_of_its_inside(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, call: Call
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise KeyError("/secret/path")

    monkeypatch.setattr(engine, "encode", fail)
    answer = call("POST", "/v1/completions", json={"prompt": "a"})
    assert answer.status_code == 500
    assert answer.json()["error"]["message"] == "the server failed; its log says why"
