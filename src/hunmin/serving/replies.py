"""The OpenAI completions protocol: what an answer says."""

from __future__ import annotations

import codecs
import time
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from hunmin.serving.events import Chunk, TokenScore
from hunmin.serving.text import ByteTable, TextStream

# JSON has no infinity; this is what other servers write for "impossible".
LOWEST_LOGPROB = -9999.0

Reply = dict[str, Any]


class ChoiceWriter:
    """Writes the choices of one text: each chunk's, or all of it.

    Args:
        table: Names and bytes of the tokens.
        prompt_ids: The prompt's ids, if the text begins with the prompt (`echo`).
        hides_first: Whether the prompt's first id was added by the server and is not told.
        has_logprobs: Whether the tokens' log-probabilities are told.
    """

    def __init__(
        self,
        table: ByteTable,
        prompt_ids: tuple[int, ...] | None,
        *,
        hides_first: bool,
        has_logprobs: bool,
    ) -> None:
        self._table = table
        self._prompt = prompt_ids or ()
        self._hides_first = hides_first
        self._has_logprobs = has_logprobs
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._offset = 0
        self._is_first = True

    def write(self, chunk: Chunk) -> Reply | None:
        """Turn a chunk into a choice.

        Args:
            chunk: The next chunk of the text.

        Returns:
            The choice; None if there is nothing to tell yet.
        """
        text = self._take_prompt_text() + chunk.text
        scores = [*self._told(chunk.prompt_scores), *([chunk.token] if chunk.token else [])]
        has_news = text or chunk.finish_reason or (self._has_logprobs and scores)
        if not has_news:
            return None
        return {
            "index": chunk.index,
            "text": text,
            "logprobs": self._logprobs(scores) if self._has_logprobs else None,
            "finish_reason": chunk.finish_reason,
        }

    def _take_prompt_text(self) -> str:
        if not self._is_first:
            return ""
        self._is_first = False
        stream = TextStream(self._table)
        return "".join(stream.feed(token_id) for token_id in self._prompt) + stream.flush()

    def _told(self, prompt_scores: tuple[TokenScore, ...]) -> list[TokenScore]:
        told = list(prompt_scores[1:] if self._hides_first else prompt_scores)
        if told:
            # The protocol knows no probability of a first token.
            told[0] = TokenScore(told[0].token_id)
        return told

    def _logprobs(self, scores: Iterable[TokenScore]) -> Reply:
        reply: Reply = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
        for score in scores:
            reply["tokens"].append(self._table.piece(score.token_id))
            reply["token_logprobs"].append(_finite(score.logprob))
            reply["top_logprobs"].append(self._alternatives(score))
            reply["text_offset"].append(self._offset)
            self._offset += len(self._decoder.decode(self._table[score.token_id]))
        return reply

    def _alternatives(self, score: TokenScore) -> dict[str, float | None] | None:
        """Name the likeliest tokens and the chosen one; different tokens never share a name."""
        if score.logprob is None:
            return None
        by_name: dict[str, float | None] = {}
        chosen = (score.token_id, score.logprob)
        for token_id, logprob in dict((*score.alternatives, chosen)).items():
            name = self._table.piece(token_id)
            by_name[f"token_id:{token_id}" if name in by_name else name] = _finite(logprob)
        return by_name


def _finite(logprob: float | None) -> float | None:
    return None if logprob is None else max(logprob, LOWEST_LOGPROB)


def merge_choices(choices: Iterable[Reply]) -> list[Reply]:
    """Put the choices of all chunks together.

    Args:
        choices: As `ChoiceWriter.write` gave them; those of one text in order.

    Returns:
        One choice per text, by index.
    """
    merged: dict[int, Reply] = {}
    for choice in choices:
        whole = merged.setdefault(choice["index"], choice)
        if whole is not choice:
            whole["text"] += choice["text"]
            whole["finish_reason"] = choice["finish_reason"]
            for key, values in (choice["logprobs"] or {}).items():
                whole["logprobs"][key] += values
    return [merged[index] for index in sorted(merged)]


class ReplyWriter:
    """Writes the envelope around choices; one per request."""

    def __init__(self, model_id: str) -> None:
        self._head = {
            "id": f"cmpl-{uuid.uuid4().hex}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": model_id,
        }

    def write(self, choices: list[Reply], usage: Mapping[str, int] | None = None) -> Reply:
        """Return an answer, or one piece of a streamed answer."""
        return {**self._head, "choices": choices, "usage": usage}


def count_usage(num_prompt_tokens: int, num_new_tokens: int) -> dict[str, int]:
    """Return what a request cost, in tokens."""
    return {
        "prompt_tokens": num_prompt_tokens,
        "completion_tokens": num_new_tokens,
        "total_tokens": num_prompt_tokens + num_new_tokens,
    }


def error_body(
    message: str, kind: str, *, param: str | None = None, code: str | None = None
) -> Reply:
    """Return an error in the shape that clients of the protocol understand."""
    # A lone surrogate may come in as a JSON escape, and cannot go out as UTF-8.
    message = message.encode("utf-8", errors="replace").decode()
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
