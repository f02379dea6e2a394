"""The OpenAI completions protocol: what a request may say."""

from __future__ import annotations

from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hunmin.serving.spec import SamplingParams

TokenIds = list[int]
# Options of the protocol that change the text and are not offered: silence would be a wrong answer.
UNSUPPORTED_OPTIONS = {
    "best_of": (None, 1),
    "frequency_penalty": (None, 0),
    "logit_bias": (None, {}),
    "presence_penalty": (None, 0),
    "suffix": (None, ""),
}


class StreamOptions(BaseModel):
    """Options of a streamed answer."""

    include_usage: bool = False


class CompletionRequest(BaseModel):
    """Body of POST /v1/completions; keys that are not listed here are accepted and ignored."""

    model_config = ConfigDict(extra="allow")

    model: str | None = None
    prompt: str | TokenIds | list[str] | list[TokenIds] = ""
    n: int | None = Field(default=None, ge=1)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    echo: bool | None = None
    max_tokens: int | None = None
    min_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    repetition_penalty: float | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    logprobs: int | None = None
    add_special_tokens: bool | None = None

    @property
    def prompts(self) -> list[str] | list[TokenIds]:
        """The prompt as a list of texts or of lists of ids."""
        if isinstance(self.prompt, str):
            return [self.prompt]
        if self.prompt and isinstance(self.prompt[0], int):
            return [self.prompt]
        return self.prompt  # type: ignore[return-value]

    def sampling(self) -> SamplingParams:
        """Give the settings that the request asks for.

        Returns:
            The settings; what is absent or null has its default.

        Raises:
            RequestValidationError: A value is out of range, or an option is not offered.
        """
        self._refuse_unsupported_options()
        given = {name: getattr(self, name) for name in SamplingParams.model_fields}
        if self.top_k in (0, -1):
            given["top_k"] = None
        try:
            return SamplingParams(**{key: v for key, v in given.items() if v is not None})
        except ValidationError as error:
            raise RequestValidationError(error.errors()) from error

    def _refuse_unsupported_options(self) -> None:
        extra: dict[str, Any] = self.model_extra or {}
        for name, neutral in UNSUPPORTED_OPTIONS.items():
            if extra.get(name) not in neutral:
                problem = f"this option is not supported; leave it out or set it to {neutral[1]!r}"
                raise invalid(name, problem)


def invalid(name: str, problem: str, *, code: str = "invalid_value") -> RequestValidationError:
    """Make the error that a wrong value of one field gives."""
    told = {"loc": (name,), "msg": problem, "type": "invalid_value", "ctx": {"code": code}}
    return RequestValidationError([told])
