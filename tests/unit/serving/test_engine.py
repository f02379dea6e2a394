"""The engine against transformers, against itself, and when things go wrong."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

import pytest
import torch
from tests.support.tiny_models import CONTEXT, tiny_gpt2
from transformers import BertConfig, BertLMHeadModel, PreTrainedModel

from hunmin.core.errors import ContextLengthError, HunminError, InputError, OutOfMemoryError
from hunmin.serving.engine import Engine
from hunmin.serving.errors import EngineBusyError, EngineClosedError
from hunmin.serving.events import Chunk
from hunmin.serving.spec import SamplingParams
from hunmin.tokenizer.load import TextTokenizer

GREEDY = SamplingParams(temperature=0, max_tokens=24)
PROMPTS = [
    "All human beings",
    "",
    "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다. " * 3,
    "자유",
    "All human beings are born free and equal",
    "Watu wote",
    "เสมอภาค",
]


def with_transformers(
    model: PreTrainedModel, tokenizer: TextTokenizer, prompt: str, num_tokens: int
) -> list[int]:
    ids = [tokenizer.boundary_id, *tokenizer.encode(prompt)]
    output = model.generate(
        torch.tensor([ids]),
        attention_mask=torch.ones(1, len(ids), dtype=torch.int64),
        max_new_tokens=num_tokens,
        do_sample=False,
        pad_token_id=tokenizer.pad_id,
        suppress_tokens=list(range(tokenizer.size, model.config.vocab_size)),
    )
    return output[0, len(ids) :].tolist()


def test_greedy_text_of_a_batch_equals_that_of_transformers_one_by_one(
    engine: Engine, model: PreTrainedModel, tokenizer: TextTokenizer
) -> None:
    """Seven prompts of very different lengths share four rows, so rows come and go."""
    answers = engine.generate(PROMPTS, GREEDY)
    for prompt, answer in zip(PROMPTS, answers, strict=True):
        expected = with_transformers(model, tokenizer, prompt, 24)
        assert list(answer.token_ids) == expected
        assert answer.text == tokenizer.decode(expected)
    assert len({answer.token_ids for answer in answers}) > 4


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_batch_equals_single_calls(engine: Engine, temperature: float) -> None:
    params = SamplingParams(temperature=temperature, top_k=40, max_tokens=12, seed=5)
    together = engine.generate(PROMPTS, params, num_samples=2)
    for number, prompt in enumerate(PROMPTS):
        alone = engine.generate([prompt], params, num_samples=2)
        assert [a.token_ids for a in alone] == [
            a.token_ids for a in together[2 * number : 2 * number + 2]
        ]


def test_the_seed_decides_the_text(engine: Engine) -> None:
    def texts(seed: int | None) -> list[tuple[int, ...]]:
        params = SamplingParams(seed=seed, max_tokens=16, temperature=2)
        return [answer.token_ids for answer in engine.generate(["자유"], params, num_samples=3)]

    assert texts(1) == texts(1)
    assert texts(1) != texts(2)
    assert texts(None) != texts(None)
    assert len(set(texts(1))) == 3


def test_requests_that_arrive_later_join_those_that_run(
    engine: Engine, model: PreTrainedModel, tokenizer: TextTokenizer
) -> None:
    first = engine.stream(PROMPTS[0], GREEDY)
    next(first)
    answer = engine.generate([PROMPTS[2]], GREEDY)[0]
    assert list(answer.token_ids) == with_transformers(model, tokenizer, PROMPTS[2], 24)
    rest = [chunk.token.token_id for chunk in first if chunk.token]
    assert rest == with_transformers(model, tokenizer, PROMPTS[0], 24)[1:]


def test_padding_of_the_vocabulary_is_never_chosen(
    engine: Engine, tokenizer: TextTokenizer
) -> None:
    params = SamplingParams(temperature=100, max_tokens=64, seed=1, min_tokens=64)
    ids = {i for a in engine.generate([""], params, num_samples=8) for i in a.token_ids}
    assert len(ids) > 100
    assert max(ids) < tokenizer.size


def test_stream_gives_the_same_text_in_pieces(engine: Engine) -> None:
    params = SamplingParams(seed=3, max_tokens=40, temperature=1.5)
    chunks = list(engine.stream("자유", params))
    [whole] = engine.generate(["자유"], params)
    assert "".join(chunk.text for chunk in chunks) == whole.text
    assert [chunk.finish_reason for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1].finish_reason == whole.finish_reason


def test_korean_syllables_cut_over_tokens_are_streamed_whole(
    engine: Engine, tokenizer: TextTokenizer
) -> None:
    """Random tokens of a small vocabulary are mostly parts of characters."""
    params = SamplingParams(seed=4, max_tokens=60, temperature=3, min_tokens=60)
    chunks = list(engine.stream("자", params))
    ids = [chunk.token.token_id for chunk in chunks if chunk.token]
    assert "".join(chunk.text for chunk in chunks) == tokenizer.decode(ids)
    assert any(chunk.text == "" for chunk in chunks)


def test_stop_strings_end_the_text_and_are_not_part_of_it(engine: Engine) -> None:
    [whole] = engine.generate(["자유"], SamplingParams(temperature=1.2, seed=3, max_tokens=40))
    start = len(whole.text) // 2
    stop = whole.text[start : start + 3]
    params = SamplingParams(temperature=1.2, seed=3, max_tokens=40, stop=stop)
    [answer] = engine.generate(["자유"], params)
    assert answer.text == whole.text[: whole.text.index(stop)]
    assert answer.finish_reason == "stop"
    assert len(answer.tokens) < 40


def test_the_boundary_ends_the_text_unless_too_early(
    gpt2: PreTrainedModel, tokenizer: TextTokenizer
) -> None:
    model = tiny_gpt2(gpt2.config.vocab_size)
    with torch.no_grad():
        model.lm_head.weight.zero_()
    with Engine(model, tokenizer) as engine:
        [ended] = engine.generate(["a"], SamplingParams(temperature=0))
        [later] = engine.generate(["a"], SamplingParams(temperature=0, min_tokens=3))
    assert (ended.token_ids, ended.text, ended.finish_reason) == ((0,), "", "stop")
    assert later.token_ids == (1, 1, 1, 0)


def test_text_is_bounded_by_max_tokens_and_by_the_context(engine: Engine) -> None:
    params = SamplingParams(temperature=1, min_tokens=10_000, max_tokens=10_000)
    prompt = [2] * (CONTEXT - 5)
    [answer] = engine.generate([prompt], params)
    assert (len(answer.tokens), answer.finish_reason) == (6, "length")
    [last] = engine.generate([[2] * CONTEXT], params)
    assert len(last.tokens) == 1
    [default] = engine.generate(["a"], SamplingParams(min_tokens=10_000))
    assert len(default.tokens) == 128
    [empty] = engine.generate(["a"], SamplingParams(max_tokens=0))
    assert (empty.text, empty.tokens, empty.finish_reason) == ("", (), "length")


def test_prompt_scores_equal_a_plain_forward_pass(
    engine: Engine, model: PreTrainedModel, tokenizer: TextTokenizer
) -> None:
    prompts = [engine.encode(prompt) for prompt in PROMPTS]
    chunks: queue.SimpleQueue[Chunk] = queue.SimpleQueue()
    params = SamplingParams(max_tokens=0, logprobs=2)
    engine.submit(prompts, params, scores_prompt=True, deliver=chunks.put)
    for _ in prompts:
        chunk = chunks.get(timeout=20)
        ids = prompts[chunk.index]
        with torch.no_grad():
            logprobs = model(torch.tensor([ids])).logits[0].log_softmax(-1)
        assert chunk.finish_reason == "length"
        assert chunk.token is None
        assert chunk.prompt_scores[0].logprob is None
        for place, score in enumerate(chunk.prompt_scores[1:]):
            assert score.token_id == ids[place + 1]
            assert score.logprob == pytest.approx(logprobs[place, ids[place + 1]].item(), abs=1e-4)


def test_scores_of_generated_tokens_do_not_depend_on_sampling(
    engine: Engine, model: PreTrainedModel
) -> None:
    params = SamplingParams(temperature=3, seed=1, repetition_penalty=1.5, max_tokens=8, logprobs=0)
    [answer] = engine.generate(["자유"], params)
    ids = [*engine.encode("자유"), *answer.token_ids]
    with torch.no_grad():
        logprobs = model(torch.tensor([ids])).logits[0].log_softmax(-1)
    start = len(ids) - len(answer.tokens)
    for place, score in enumerate(answer.tokens, start=start):
        assert score.logprob == pytest.approx(logprobs[place - 1, ids[place]].item(), abs=1e-4)


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.005)


LONG = SamplingParams(max_tokens=4000, min_tokens=4000)


def test_leaving_a_stream_stops_the_work(gpt2: PreTrainedModel, tokenizer: TextTokenizer) -> None:
    with Engine(gpt2, tokenizer) as engine:
        for _ in engine.stream("a", LONG):
            assert engine.num_running == 1
            break
        wait_until(lambda: engine.num_running == 0)
        assert engine.generate(["a"], SamplingParams(max_tokens=2))


def test_a_full_queue_refuses_and_cancelled_texts_make_room(
    gpt2: PreTrainedModel, tokenizer: TextTokenizer
) -> None:
    with Engine(gpt2, tokenizer, num_rows=1, max_waiting=2) as engine:
        running = engine.submit([(0,)], LONG, deliver=lambda chunk: None)
        wait_until(lambda: engine.num_running == 1)
        waiting = engine.submit([(0,), (0,)], LONG, deliver=lambda chunk: None)
        assert engine.num_waiting == 2
        with pytest.raises(EngineBusyError, match="too many requests are waiting"):
            engine.generate(["a"])
        waiting.cancel()
        assert engine.num_waiting == 0
        running.cancel()
        assert len(engine.generate(["a"], SamplingParams(max_tokens=2))) == 1


def test_closing_ends_texts_with_an_error_and_refuses_new_ones(
    gpt2: PreTrainedModel, tokenizer: TextTokenizer
) -> None:
    engine = Engine(gpt2, tokenizer, num_rows=1)
    chunks: queue.SimpleQueue[Chunk] = queue.SimpleQueue()
    engine.submit([(0,), (0,)], LONG, deliver=chunks.put)
    wait_until(lambda: engine.num_running == 1)
    engine.close()
    errors = []
    while not chunks.empty():
        errors.append(chunks.get().error)
    assert sum(isinstance(error, EngineClosedError) for error in errors) == 2
    with pytest.raises(EngineClosedError, match="the engine was closed"):
        engine.generate(["a"])
    assert not engine.is_alive
    assert "hunmin-engine" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize(
    ("failure", "expected", "message"),
    [
        (MemoryError(), OutOfMemoryError, "not enough memory"),
        (torch.OutOfMemoryError("CUDA out of memory"), OutOfMemoryError, "not enough memory"),
        (RuntimeError("can't allocate memory: 8 GB"), OutOfMemoryError, "can't allocate memory"),
        (IndexError("no such row"), HunminError, "IndexError: no such row"),
    ],
)
def test_a_failure_in_the_model_ends_the_batch_and_not_the_engine(
    gpt2: PreTrainedModel,
    tokenizer: TextTokenizer,
    monkeypatch: pytest.MonkeyPatch,
    failure: Exception,
    expected: type[HunminError],
    message: str,
) -> None:
    with Engine(gpt2, tokenizer) as engine:
        before = engine.generate(["a"], GREEDY)[0]
        with monkeypatch.context() as patch:

            def fail(*args: object, **kwargs: object) -> None:
                raise failure

            patch.setattr(gpt2.transformer, "forward", fail)
            with pytest.raises(expected, match=message):
                engine.generate(["a"], GREEDY)
        assert engine.generate(["a"], GREEDY)[0] == before


def test_prompts_that_cannot_be_continued_are_refused(
    engine: Engine, tokenizer: TextTokenizer
) -> None:
    with pytest.raises(ContextLengthError, match="longer than the model's context") as caught:
        engine.generate([[2] * (CONTEXT + 1)])
    assert f"given:   {CONTEXT + 1} tokens" in str(caught.value)
    with pytest.raises(InputError, match="the prompt is empty"):
        engine.generate([[]])
    for unknown in (-1, tokenizer.size):
        with pytest.raises(InputError, match="the tokenizer has no such token") as no_token:
            engine.generate([[unknown]])
        assert f"0 to {tokenizer.size - 1}" in str(no_token.value)


def test_a_tokenizer_larger_than_the_model_is_refused(tokenizer: TextTokenizer) -> None:
    with pytest.raises(InputError, match="more tokens than the model has outputs"):
        Engine(tiny_gpt2(64), tokenizer)


def test_a_model_without_a_causal_cache_of_positions_is_refused(tokenizer: TextTokenizer) -> None:
    config = BertConfig(
        vocab_size=448,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        is_decoder=True,
    )
    model = BertLMHeadModel(config)
    model.config.layer_types = ["linear_attention"]
    with pytest.raises(InputError, match="causal attention and explicit positions") as caught:
        Engine(model, tokenizer)
    assert "serve the model's folder with vLLM" in str(caught.value)


def test_the_context_ends_where_a_sliding_window_would_begin(tokenizer: TextTokenizer) -> None:
    model = tiny_gpt2(448)
    model.config.sliding_window = 32
    with Engine(model, tokenizer) as engine:
        assert engine.context == 32
