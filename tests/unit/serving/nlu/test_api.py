"""POST /v1/nlu without a socket: answers, errors, limits, its schema."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import httpx
import jsonschema
import pytest
from tests.support.tiny_models import tiny_gpt2, tiny_tokenizer
from tests.unit.serving.conftest import Exported

from hunmin.adapt.nlu.config import NluConfig
from hunmin.adapt.nlu.decode import NUM_BEST, Parse
from hunmin.cli.serve_models import ServeRequest, open_app
from hunmin.serving.api import create_app
from hunmin.serving.app import Limits
from hunmin.serving.engine import Engine
from hunmin.serving.nlu.api import NluService, create_nlu_app
from hunmin.serving.nlu.engine import BATCH_SIZE, NluEngine

Call = Callable[..., httpx.Response]
LONGEST = 200


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
def service(parser: NluEngine) -> Iterator[NluService]:
    limits = Limits(max_texts=8, max_characters=LONGEST)
    with NluService(parser, "assistant", limits=limits) as service:
        yield service


@pytest.fixture(scope="module")
def call(service: NluService) -> Call:
    return caller(create_nlu_app(service))


def ask(call: Call, **body: Any) -> dict[str, Any]:
    answer = call("POST", "/v1/nlu", json=body)
    assert answer.status_code == 200, answer.text
    whole: dict[str, Any] = answer.json()
    return whole


def test_an_answer_says_what_the_engine_does(call: Call, parser: NluEngine) -> None:
    text = "거실 불 light"
    answer = ask(call, text=text, locale="ko_kr", n_best=2, model="assistant", user="누구")
    [parse] = parser.parse([text], "ko-KR", num_best=2)
    [found] = answer["data"]
    assert (answer["object"], answer["model"], answer["locale"]) == ("list", "assistant", "ko-KR")
    assert (found["index"], found["text"], found["intent"]) == (0, text, parse.intent)
    assert found["n_best"][0] == {"intent": found["intent"], "score": found["score"]}
    assert len(found["n_best"]) == 2
    assert [slot["type"] for slot in found["slots"]] == [slot.type for slot in parse.slots]
    assert all(slot["value"] == text[slot["start"] : slot["end"]] for slot in found["slots"])
    assert found["slots"]


def test_many_utterances_are_answered_in_order_as_if_each_were_alone(call: Call) -> None:
    texts = ["light", "a much longer light than that", "불"]
    answer = ask(call, texts=texts)
    alone = [ask(call, text=text)["data"][0] for text in texts]
    assert answer["data"] == [{**one, "index": row} for row, one in enumerate(alone)]
    assert [found["text"] for found in answer["data"]] == texts
    assert [found["index"] for found in answer["data"]] == [0, 1, 2]
    assert (answer["locale"], answer["is_trained_language"]) == (None, None)


@pytest.mark.parametrize(("locale", "is_trained"), [("en", True), ("eng-GB", True), ("haw", False)])
def test_a_locale_that_was_never_seen_is_answered_and_said(
    call: Call, locale: str, is_trained: bool
) -> None:
    assert ask(call, text="light", locale=locale)["is_trained_language"] is is_trained


@pytest.mark.parametrize(
    ("body", "param", "code", "message"),
    [
        ({}, "text", "invalid_value", "give either `text`"),
        ({"text": "a", "texts": ["a"]}, "text", "invalid_value", "give either `text`"),
        ({"text": None}, "text", "invalid_value", "give either `text`"),
        ({"text": ""}, "text", "invalid_value", "an empty utterance"),
        ({"text": " \n"}, "text", "invalid_value", "an empty utterance"),
        ({"text": 5}, "text", "invalid_value", "valid string"),
        ({"text": ["a"]}, "text", "invalid_value", "valid string"),
        ({"texts": "a"}, "texts", "invalid_value", "valid list"),
        ({"texts": []}, "texts", "invalid_value", "the list of utterances is empty"),
        ({"texts": ["a", 5]}, "texts", "invalid_value", "item 1: Input should be a valid string"),
        ({"texts": ["a", " "]}, "texts", "invalid_value", "item 1: an empty utterance"),
        ({"texts": ["a"] * 9}, "texts", "too_many_texts", "9 utterances; at most 8"),
        ({"text": "a" * 10_000}, "text", "utterance_too_long", "10,000 characters; at most 200"),
        ({"text": "\ud800"}, "text", "invalid_value", "lone surrogate"),
        ({"text": "a", "locale": "Korean!"}, "locale", "invalid_value", "not a language tag"),
        ({"text": "a", "locale": ""}, "locale", "invalid_value", "not a language tag"),
        ({"text": "a", "locale": "\ud800"}, "locale", "invalid_value", "not a language tag"),
        ({"text": "a", "locale": 7}, "locale", "invalid_value", "valid string"),
        ({"text": "a", "n_best": 0}, "n_best", "invalid_value", "greater than or equal to 1"),
        ({"text": "a", "n_best": True}, "n_best", "invalid_value", "valid integer"),
        ({"text": "a", "n_best": 10**30}, "n_best", "invalid_value", "less than or equal to"),
    ],
)
def test_what_cannot_be_parsed_is_a_400_that_names_the_field(
    call: Call, body: dict[str, Any], param: str, code: str, message: str
) -> None:
    # Written with escapes: a lone surrogate cannot be sent as UTF-8.
    headers = {"content-type": "application/json"}
    answer = call("POST", "/v1/nlu", content=json.dumps(body), headers=headers)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, param, code)
    assert message in error["message"]


def test_other_models_methods_and_bodies(call: Call) -> None:
    answer = call("POST", "/v1/nlu", json={"text": "a", "model": "gpt"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert call("GET", "/v1/nlu").status_code == 405
    assert call("POST", "/v1/completions", json={"prompt": "a"}).status_code == 404
    headers = {"content-type": "application/json"}
    assert call("POST", "/v1/nlu", content=b"{", headers=headers).status_code == 400
    assert call("POST", "/v1/nlu", content=b"\xff", headers=headers).status_code == 400


def test_the_model_is_listed_with_its_labels(call: Call, parser: NluEngine) -> None:
    [model] = call("GET", "/v1/models").json()["data"]
    assert (model["id"], model["task"], model["max_characters"]) == ("assistant", "nlu", LONGEST)
    assert model["intents"] == list(parser.config.intents)
    assert call("GET", "/v1/models/assistant").json() == model
    assert call("GET", "/health").json() == {"status": "ok", "running": 0, "waiting": 0}


def test_the_schema_describes_answers_and_errors(call: Call) -> None:
    schema = call("GET", "/openapi.json").json()
    replies = schema["paths"]["/v1/nlu"]["post"]["responses"]
    assert set(replies) == {"200", "4XX", "5XX"}

    def check(status: str, body: dict[str, Any]) -> None:
        jsonschema.validate(
            body, {**replies[status]["content"]["application/json"]["schema"], **parts}
        )

    parts = {"components": schema["components"]}
    check("200", ask(call, text="light", locale="ko"))
    check("4XX", call("POST", "/v1/nlu", json={}).json())
    with pytest.raises(jsonschema.ValidationError):
        check("200", {**ask(call, text="light"), "data": [{"index": 0}]})


def test_the_key_guards_the_route(service: NluService) -> None:
    call = caller(create_nlu_app(service, api_key="secret"))
    assert call("POST", "/v1/nlu", json={"text": "a"}).status_code == 401
    headers = {"authorization": "Bearer secret"}
    assert call("POST", "/v1/nlu", json={"text": "a"}, headers=headers).status_code == 200


class Waiting:
    """Parses only when it is told to."""

    def __init__(self, parser: NluEngine) -> None:
        self.config: NluConfig = parser.config
        self.may_go = threading.Event()
        self._parser = parser

    def parse(
        self,
        texts: Sequence[str],
        locales: Sequence[str] | str = "",
        *,
        batch_size: int = BATCH_SIZE,
        num_best: int = NUM_BEST,
    ) -> list[Parse]:
        assert self.may_go.wait(30)
        return self._parser.parse(texts, locales, batch_size=batch_size, num_best=num_best)


def test_a_full_queue_is_a_429_and_a_closed_service_a_503(parser: NluEngine) -> None:
    waiting = Waiting(parser)
    service = NluService(waiting, "slow", num_workers=1, max_waiting=1)
    app = create_nlu_app(service)

    async def crowd() -> list[int]:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            posts = [
                asyncio.create_task(client.post("/v1/nlu", json={"text": "a"})) for _ in range(3)
            ]
            done, _ = await asyncio.wait(posts, return_when=asyncio.FIRST_COMPLETED, timeout=30)
            [refused] = done
            health = (await client.get("/health")).json()
            assert (health["running"], health["waiting"]) == (1, 1)
            assert int(refused.result().headers["retry-after"]) > 0
            waiting.may_go.set()
            return [(await post).status_code for post in posts]

    assert sorted(asyncio.run(crowd())) == [200, 200, 429]
    service.close()
    call = caller(app)
    assert call("POST", "/v1/nlu", json={"text": "a"}).status_code == 503
    assert call("GET", "/health").status_code == 503


def test_serve_opens_what_a_folder_holds(exported: Exported) -> None:
    wish = ServeRequest.of(
        exported.folder, None, name="home", api_key="k", num_rows=1, max_waiting=1, num_workers=2
    )
    with open_app(wish) as app:
        call, headers = caller(app), {"authorization": "Bearer k"}
        answer = call("POST", "/v1/nlu", json={"text": "light"}, headers=headers)
        assert answer.json()["model"] == "home"
    assert call("POST", "/v1/nlu", json={"text": "light"}, headers=headers).status_code == 503


def test_it_is_served_beside_a_language_model(service: NluService) -> None:
    with Engine(tiny_gpt2(448), tiny_tokenizer(), num_rows=1) as engine:
        call = caller(create_app(engine, model_id="writer", nlu=service))
        names = [model["id"] for model in call("GET", "/v1/models").json()["data"]]
        assert names == ["writer", "assistant"]
        assert ask(call, text="light")["model"] == "assistant"
        body = {"prompt": "a", "max_tokens": 1}
        assert call("POST", "/v1/completions", json=body).status_code == 200
