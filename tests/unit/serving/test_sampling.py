"""Choosing tokens: filters, penalties, distributions, and independence of the texts beside."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import RepetitionPenaltyLogitsProcessor, TopKLogitsWarper, TopPLogitsWarper

from hunmin.serving.errors import BrokenModelError
from hunmin.serving.sampling import Choice, choose_tokens, score_tokens
from hunmin.serving.spec import SamplingParams

NUM_IDS, NUM_TOKENS = 24, 20


def logits_of(seed: int, num_rows: int = 1) -> torch.Tensor:
    return torch.randn(num_rows, NUM_IDS, generator=torch.Generator().manual_seed(seed)) * 2


def choose(logits: torch.Tensor, choices: list[Choice]) -> list[int]:
    chosen = choose_tokens(logits, choices, num_tokens=NUM_TOKENS, boundary_id=0)
    return chosen.tolist()


def frequencies(
    logits: torch.Tensor, params: SamplingParams, num_draws: int = 4000
) -> torch.Tensor:
    """Draw with evenly spaced random numbers: the exact distribution up to 1/num_draws."""
    choices = [Choice(params, (k + 0.5) / num_draws) for k in range(num_draws)]
    drawn = torch.tensor(choose(logits.expand(num_draws, -1), choices))
    return torch.bincount(drawn, minlength=NUM_IDS) / num_draws


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_drawn_tokens_follow_the_softmax_at_that_temperature(temperature: float) -> None:
    logits = logits_of(1)
    expected = (logits[0, :NUM_TOKENS] / temperature).softmax(-1)
    found = frequencies(logits, SamplingParams(temperature=temperature))
    torch.testing.assert_close(found[:NUM_TOKENS], expected, atol=6e-4, rtol=0)
    assert found[NUM_TOKENS:].sum() == 0


@pytest.mark.parametrize(
    ("params", "warper"),
    [
        (SamplingParams(top_k=3), TopKLogitsWarper(3)),
        (SamplingParams(top_k=1), TopKLogitsWarper(1)),
        (SamplingParams(top_p=0.7), TopPLogitsWarper(0.7)),
        (SamplingParams(top_p=1e-6), TopPLogitsWarper(1e-6)),
    ],
)
def test_filters_keep_what_transformers_keeps(
    params: SamplingParams, warper: TopKLogitsWarper | TopPLogitsWarper
) -> None:
    logits = logits_of(2)
    logits[:, NUM_TOKENS:] = -torch.inf
    expected = warper(torch.zeros(1, 1, dtype=torch.int64), logits.clone()).softmax(-1)[0]
    torch.testing.assert_close(frequencies(logits, params), expected, atol=6e-4, rtol=0)


def test_repetition_penalty_equals_that_of_transformers() -> None:
    logits, seen_ids = logits_of(3), torch.tensor([[2, 5, 7, 5]])
    expected = RepetitionPenaltyLogitsProcessor(1.7)(seen_ids, logits[:, :NUM_TOKENS].clone())
    seen = torch.zeros(NUM_IDS, dtype=torch.bool)
    seen[seen_ids[0]] = True
    params = SamplingParams(repetition_penalty=1.7)
    num_draws = 4000
    choices = [Choice(params, (k + 0.5) / num_draws, seen) for k in range(num_draws)]
    drawn = torch.tensor(choose(logits.expand(num_draws, -1), choices))
    found = torch.bincount(drawn, minlength=NUM_TOKENS) / num_draws
    torch.testing.assert_close(found, expected.softmax(-1)[0], atol=6e-4, rtol=0)


SETTINGS = st.builds(
    SamplingParams,
    temperature=st.sampled_from([0.0, 1e-30, 0.7, 1.0, 50.0]),
    top_k=st.none() | st.integers(1, 40),
    top_p=st.sampled_from([1.0, 0.9, 0.3, 1e-9]),
)
CHOICES = st.builds(Choice, SETTINGS, st.floats(0, 1, exclude_max=True), st.none(), st.booleans())


@settings(max_examples=50)
@given(st.lists(CHOICES, min_size=1, max_size=6), st.integers(0, 1000))
def test_a_text_gets_the_same_token_alone_and_beside_others(
    choices: list[Choice], seed: int
) -> None:
    logits = logits_of(seed, len(choices))
    together = choose(logits, choices)
    alone = [choose(logits[row : row + 1], [choice])[0] for row, choice in enumerate(choices)]
    assert together == alone
    assert all(0 <= token < NUM_TOKENS for token in together)
    assert all(
        token != 0 or choice.may_end for token, choice in zip(together, choices, strict=True)
    )


def test_logits_are_left_as_they_were() -> None:
    logits = logits_of(4, 2)
    before = logits.clone()
    choose(logits, [Choice(SamplingParams(top_k=2), 0.5), Choice(SamplingParams(temperature=0), 0)])
    torch.testing.assert_close(logits, before, atol=0, rtol=0)


def test_logits_that_are_not_numbers_are_an_error() -> None:
    logits = logits_of(5)
    logits[0, 3] = torch.nan
    with pytest.raises(BrokenModelError, match="output is not a number") as caught:
        choose(logits, [Choice(SamplingParams(), 0.5)])
    assert "earlier checkpoint" in str(caught.value)


def test_scores_are_log_probabilities_and_the_best_is_the_same_float() -> None:
    logits = logits_of(6, 2)
    best = logits[:, :NUM_TOKENS].argmax(-1).tolist()
    scores = score_tokens(logits, best, num_alternatives=3, num_tokens=NUM_TOKENS)
    expected = logits.log_softmax(-1)
    for row, score in enumerate(scores):
        assert score.logprob == pytest.approx(expected[row, best[row]].item(), abs=1e-5)
        assert score.alternatives[0] == (best[row], score.logprob)
        assert len(score.alternatives) == 3


def test_padding_is_part_of_the_normalization_and_never_listed() -> None:
    logits = torch.zeros(1, NUM_IDS)
    logits[0, NUM_TOKENS:] = 9
    [score] = score_tokens(logits, [1], num_alternatives=20, num_tokens=NUM_TOKENS)
    assert score.logprob == pytest.approx(logits.log_softmax(-1)[0, 1].item(), abs=1e-5)
    assert {token_id for token_id, _ in score.alternatives} == set(range(NUM_TOKENS))
