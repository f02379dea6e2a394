"""Choosing the next token of several texts at once.

Shape suffixes: N texts, V ids the model has an output for (at least as many as the tokenizer has).
A text's choice depends on its own logits, settings and random number only, never on the texts
beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hunmin.serving.errors import BrokenModelError
from hunmin.serving.events import TokenScore
from hunmin.serving.spec import SamplingParams


@dataclass(frozen=True)
class Choice:
    """What decides one text's next token.

    Args:
        params: The settings of the request.
        uniform: The text's random number for this token, in [0, 1).
        seen: Whether each id was in the prompt or the text, bool, shape (V,); None for no penalty.
        may_end: Whether the end of the text may be chosen.
    """

    params: SamplingParams
    uniform: float
    seen: Tensor | None = None
    may_end: bool = True


def choose_tokens(
    logits_NV: Tensor, choices: list[Choice], *, num_tokens: int, boundary_id: int
) -> Tensor:
    """Choose one token for each row.

    Args:
        logits_NV: Logits as the model gives them, any float type.
        choices: What decides each row.
        num_tokens: Ids from here on are padding of the vocabulary and are never chosen.
        boundary_id: Id that ends a text.

    Returns:
        Ids, int64, shape (N,).

    Raises:
        BrokenModelError: A logit is not a number.
    """
    logits_NV = logits_NV.float()
    _refuse_broken_logits(logits_NV)
    logits_NV = _penalize_repetition(logits_NV, choices)
    logits_NV[:, num_tokens:] = -torch.inf
    for row, choice in enumerate(choices):
        if not choice.may_end:
            logits_NV[row, boundary_id] = -torch.inf
    chosen_N = logits_NV.argmax(dim=-1)
    random_rows = [row for row, choice in enumerate(choices) if choice.params.temperature > 0]
    if random_rows:
        rows = torch.tensor(random_rows, device=logits_NV.device)
        chosen_N[rows] = _draw(logits_NV[rows], [choices[row] for row in random_rows])
    return chosen_N


def _refuse_broken_logits(logits_NV: Tensor) -> None:
    if torch.isnan(logits_NV).any():
        raise BrokenModelError(
            "the model's output is not a number",
            hint="its weights are damaged, or its training diverged: take an earlier checkpoint",
        )


def _penalize_repetition(logits_NV: Tensor, choices: list[Choice]) -> Tensor:
    """Divide positive and multiply negative logits of ids that were seen; always a copy."""
    logits_NV = logits_NV.clone()
    for row, choice in enumerate(choices):
        if choice.seen is not None:
            old, penalty = logits_NV[row], choice.params.repetition_penalty
            penalized = torch.where(old < 0, old * penalty, old / penalty)
            logits_NV[row] = torch.where(choice.seen, penalized, old)
    return logits_NV


def _draw(logits_NV: Tensor, choices: list[Choice]) -> Tensor:
    """Draw by the inverse of the distribution function, in order of ids."""
    temperature_N = torch.tensor([choice.params.temperature for choice in choices])
    highest_N = logits_NV.max(dim=-1, keepdim=True).values
    # Subtracting first keeps the quotient finite however small the temperature is.
    logits_NV = (logits_NV - highest_N) / temperature_N.to(logits_NV.device)[:, None]
    _keep_top_k(logits_NV, choices)
    _keep_top_p(logits_NV, choices)
    cumulative_NV = logits_NV.softmax(dim=-1).cumsum(dim=-1, dtype=torch.float64)
    uniform_N = torch.tensor([choice.uniform for choice in choices], dtype=torch.float64)
    target_N = uniform_N.to(logits_NV.device)[:, None] * cumulative_NV[:, -1:]
    return torch.searchsorted(cumulative_NV, target_N, right=True).squeeze(-1)


def _keep_top_k(logits_NV: Tensor, choices: list[Choice]) -> None:
    num_ids = logits_NV.shape[-1]
    limits = [(row, choice.params.top_k) for row, choice in enumerate(choices)]
    limited = [(row, top_k) for row, top_k in limits if top_k is not None and top_k < num_ids]
    if limited:
        rows = torch.tensor([row for row, _ in limited], device=logits_NV.device)
        ranks_N = torch.tensor([top_k - 1 for _, top_k in limited], device=logits_NV.device)
        highest_NV = logits_NV[rows].topk(max(top_k for _, top_k in limited), dim=-1).values
        _cut_below(logits_NV, rows, highest_NV.gather(-1, ranks_N[:, None])[:, 0])


def _keep_top_p(logits_NV: Tensor, choices: list[Choice]) -> None:
    limited = [(row, c.params.top_p) for row, c in enumerate(choices) if c.params.top_p < 1]
    if limited:
        rows = torch.tensor([row for row, _ in limited], device=logits_NV.device)
        top_p_N = torch.tensor([top_p for _, top_p in limited], device=logits_NV.device)
        sorted_NV = logits_NV[rows].sort(dim=-1, descending=True).values
        probabilities_NV = sorted_NV.softmax(dim=-1)
        before_NV = probabilities_NV.cumsum(dim=-1) - probabilities_NV
        num_kept_N = (before_NV < top_p_N[:, None]).sum(dim=-1).clamp(min=1)
        _cut_below(logits_NV, rows, sorted_NV.gather(-1, num_kept_N[:, None] - 1)[:, 0])


def _cut_below(logits_NV: Tensor, rows: Tensor, threshold_N: Tensor) -> None:
    kept_NV = logits_NV[rows]
    logits_NV[rows] = kept_NV.masked_fill(kept_NV < threshold_N[:, None], -torch.inf)


def score_tokens(
    logits_NV: Tensor, token_ids: list[int], *, num_alternatives: int, num_tokens: int
) -> list[TokenScore]:
    """Give the log-probability of tokens and of the likeliest ones in their place.

    Args:
        logits_NV: Logits as the model gives them, any float type.
        token_ids: The token of each row.
        num_alternatives: How many of the likeliest ids to list.
        num_tokens: Ids from here on are padding: part of the normalization, as in any other
            program that loads the model, but never listed.

    Returns:
        A score for each row; a token and its entry among the alternatives have the same float.
    """
    logits_NV = logits_NV.float()
    total_N = logits_NV.logsumexp(dim=-1)
    ids_N = torch.tensor(token_ids, device=logits_NV.device)
    logprobs = (logits_NV.gather(-1, ids_N[:, None])[:, 0] - total_N).tolist()
    best = logits_NV[:, :num_tokens].topk(min(num_alternatives, num_tokens), dim=-1)
    best_logprobs = (best.values - total_N[:, None]).tolist()
    return [
        TokenScore(token_id, logprob, tuple(zip(best_ids, alternatives, strict=True)))
        for token_id, logprob, best_ids, alternatives in zip(
            token_ids, logprobs, best.indices.tolist(), best_logprobs, strict=True
        )
    ]
