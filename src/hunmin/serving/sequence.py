"""One text on its way through the engine."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from hunmin.core.errors import HunminError
from hunmin.serving.events import Chunk, FinishReason, TokenScore
from hunmin.serving.sampling import Choice
from hunmin.serving.spec import SamplingParams
from hunmin.serving.text import TextStream

Deliver = Callable[[Chunk], None]


class Sequence:
    """A prompt, the tokens that follow it so far, and who wants to hear of them.

    Args:
        index: Number of the text within its request.
        prompt_ids: Ids that the text continues; at least one.
        params: Settings of the request; `max_tokens` already fits the context.
        text: Turns the ids into text and finds the stop strings.
        boundary_id: Id that ends the text.
        seed: Decides the random choices.
        scores_prompt: Whether the prompt's tokens are scored too.
        deliver: Called on the engine's thread with each chunk; must not block or raise.
    """

    def __init__(
        self,
        index: int,
        prompt_ids: tuple[int, ...],
        params: SamplingParams,
        *,
        text: TextStream,
        boundary_id: int,
        seed: int,
        scores_prompt: bool,
        deliver: Deliver,
    ) -> None:
        self.index = index
        self.prompt_ids = prompt_ids
        self.params = params
        self.scores_prompt = scores_prompt
        self.token_ids: list[int] = []
        self.is_done = False
        self.is_cancelled = False
        self._text = text
        self._boundary_id = boundary_id
        self._deliver = deliver
        self._random = torch.Generator().manual_seed(seed)
        self._seen: Tensor | None = None
        self._prompt_scores: tuple[TokenScore, ...] = ()

    @property
    def is_over(self) -> bool:
        """Whether the engine has nothing more to do for it."""
        return self.is_done or self.is_cancelled

    @property
    def num_cached(self) -> int:
        """Number of tokens whose keys and values are known: all but the newest."""
        return len(self.prompt_ids) + len(self.token_ids) - 1

    def next_choice(self, num_ids: int, device: torch.device) -> Choice:
        """Return what decides the next token; each call uses up one random number."""
        params = self.params
        uniform = torch.rand((), generator=self._random, dtype=torch.float64).item()
        seen = self._mark_seen(num_ids, device) if params.repetition_penalty != 1 else None
        return Choice(params, uniform, seen, len(self.token_ids) >= params.min_tokens)

    def _mark_seen(self, num_ids: int, device: torch.device) -> Tensor:
        if self._seen is None:
            self._seen = torch.zeros(num_ids, dtype=torch.bool, device=device)
            self._seen[list(self.prompt_ids)] = True
        if self.token_ids:
            self._seen[self.token_ids[-1]] = True
        return self._seen

    def accept_prompt_scores(self, scores: list[TokenScore]) -> None:
        """Keep the prompt's scores for the first chunk; the first token has none."""
        self._prompt_scores = (TokenScore(self.prompt_ids[0]), *scores)

    def accept(self, token: TokenScore) -> None:
        """Add a token, deliver what it added to the text, end the text if it must."""
        self.token_ids.append(token.token_id)
        is_end = token.token_id == self._boundary_id
        text = "" if is_end else self._text.feed(token.token_id)
        if is_end or self._text.stopped:
            self._send(text + self._text.flush(), token, "stop")
        elif len(self.token_ids) >= self.params.max_tokens:
            self._send(text + self._text.flush(), token, "length")
        else:
            self._send(text, token)

    def finish_empty(self) -> None:
        """End a text that was to have no tokens."""
        self._send("", None, "length")

    def fail(self, error: HunminError) -> None:
        """End the text with an error."""
        self.is_done = True
        self._deliver(Chunk(self.index, error=error))

    def _send(
        self, text: str, token: TokenScore | None, reason: FinishReason | None = None
    ) -> None:
        self.is_done = reason is not None
        scores, self._prompt_scores = self._prompt_scores, ()
        if not self.is_cancelled:
            self._deliver(Chunk(self.index, text, token, scores, reason))
