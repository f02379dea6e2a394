"""What comes out of the engine: tokens with their scores, pieces of text, finished texts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from hunmin.core.errors import HunminError

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True)
class TokenScore:
    """A token, its log-probability and the likeliest alternatives.

    Note:
        Log-probabilities are those of the model itself, before temperature, penalties and filters,
        so that they equal what a plain forward pass gives.
    """

    token_id: int
    logprob: float | None = None
    alternatives: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class Chunk:
    """What one token added to one text.

    Args:
        index: Number of the text: prompt number x samples per prompt + sample number.
        text: Whole characters that are certain not to begin a stop string; may be empty.
        token: The token, also when it is the end of the text; None if nothing was generated.
        prompt_scores: Scores of the prompt's tokens, in a text's first chunk if they were asked.
        finish_reason: "stop" at the end of the text or a stop string, "length" at the limit.
        error: Why the text cannot go on.
    """

    index: int
    text: str = ""
    token: TokenScore | None = None
    prompt_scores: tuple[TokenScore, ...] = ()
    finish_reason: FinishReason | None = None
    error: HunminError | None = None

    @property
    def is_last(self) -> bool:
        """Whether nothing more comes for this text."""
        return self.finish_reason is not None or self.error is not None


@dataclass(frozen=True)
class Completion:
    """A finished text."""

    index: int
    text: str
    tokens: tuple[TokenScore, ...]
    prompt_scores: tuple[TokenScore, ...]
    finish_reason: FinishReason

    @property
    def token_ids(self) -> tuple[int, ...]:
        """Ids of the generated tokens, with the end of the text if it was reached."""
        return tuple(token.token_id for token in self.tokens)


def join_chunks(chunks: Iterable[Chunk]) -> list[Completion]:
    """Put the chunks of all texts of a request together.

    Args:
        chunks: All chunks; those of one text in order.

    Returns:
        The texts by index.

    Raises:
        HunminError: A chunk carries this error.
    """
    by_index: dict[int, list[Chunk]] = {}
    for chunk in chunks:
        if chunk.error is not None:
            raise chunk.error
        by_index.setdefault(chunk.index, []).append(chunk)
    return [_join(by_index[index]) for index in sorted(by_index)]


def _join(chunks: list[Chunk]) -> Completion:
    return Completion(
        index=chunks[0].index,
        text="".join(chunk.text for chunk in chunks),
        tokens=tuple(chunk.token for chunk in chunks if chunk.token is not None),
        prompt_scores=chunks[0].prompt_scores,
        finish_reason=chunks[-1].finish_reason or "length",
    )
