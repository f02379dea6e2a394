"""Conversations: what the model is shown when somebody adds a line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Protocol

from hunmin.core.errors import CorruptArtifactError
from hunmin.core.extras import require
from hunmin.serving.engine import Engine


class Conversation(Protocol):
    """Keeps what was said and turns it into prompts."""

    has_forgotten: bool
    """Whether the newest prompt left out an early part that no longer fits the context."""

    def prompt_after(self, line: str, *, num_new_tokens: int) -> tuple[int, ...]:
        """Add what the user said and return the ids to continue."""

    def remember(self, answer: str, *, is_end: bool) -> None:
        """Add what the model said."""

    def reset(self) -> None:
        """Begin anew."""


class RunningText:
    """One text that user and model write in turn; for models that were not taught to converse.

    Args:
        engine: Encodes the text.

    Note:
        The user's line is continued at once, without a line break. When the model ends its text,
        the next line begins a new one. An empty line lets the model go on.
    """

    def __init__(self, engine: Engine) -> None:
        self.has_forgotten = False
        self._engine = engine
        self._text = ""

    def prompt_after(self, line: str, *, num_new_tokens: int) -> tuple[int, ...]:
        """Add what the user wrote and return the ids to continue.

        Args:
            line: What the user wrote, without a line break at the end.
            num_new_tokens: Tokens to leave room for.

        Returns:
            The ids of the text, or of its end if it has become too long.
        """
        break_before = "\n" if self._text and line else ""
        self._text += break_before + line
        tokenizer = self._engine.tokenizer
        ids = tokenizer.encode(self._text)
        room = _room(self._engine.context, num_new_tokens) - 1
        self.has_forgotten = len(ids) > room
        return (tokenizer.boundary_id, *ids[max(0, len(ids) - room) :])

    def remember(self, answer: str, *, is_end: bool) -> None:
        """Add what the model wrote.

        Args:
            answer: The continuation.
            is_end: Whether the model ended the text, so that the next line begins a new one.
        """
        self._text = "" if is_end else self._text + answer

    def reset(self) -> None:
        """Begin a new text."""
        self._text = ""


class TemplatedChat:
    """Messages put together by the chat template that came with a tokenizer.

    Args:
        engine: Encodes the messages.
        template: A Jinja template as Hugging Face defines it.

    Raises:
        CorruptArtifactError: The template is not a template.
    """

    def __init__(self, engine: Engine, template: str) -> None:
        self.has_forgotten = False
        self._engine = engine
        self._messages: list[dict[str, str]] = []
        self._template = _compile_template(template)
        special = {
            engine.tokenizer.token_bytes(token_id).decode(): token_id
            for token_id in engine.tokenizer.special_ids
        }
        self._special = special
        self._boundary_name = next(
            name for name, number in special.items() if number == engine.tokenizer.boundary_id
        )

    def prompt_after(self, line: str, *, num_new_tokens: int) -> tuple[int, ...]:
        """Add a message of the user and return the ids to continue.

        Args:
            line: The message.
            num_new_tokens: Tokens to leave room for.

        Returns:
            The ids of all messages, or of the newest ones if they have become too many.

        Raises:
            ContextLengthError: The newest message alone is too long.
        """
        self._messages.append({"role": "user", "content": line})
        room = _room(self._engine.context, num_new_tokens)
        kept = self._messages
        while len(ids := self._encode(kept)) > room and len(kept) > 1:
            kept = kept[2:]
        self.has_forgotten = len(kept) < len(self._messages)
        return self._engine.encode(ids)

    def remember(self, answer: str, *, is_end: bool) -> None:
        """Add a message of the model.

        Args:
            answer: The message.
            is_end: Not used; the template says where messages end.
        """
        self._messages.append({"role": "assistant", "content": answer})

    def reset(self) -> None:
        """Forget all messages."""
        self._messages = []

    def _encode(self, messages: list[dict[str, str]]) -> list[int]:
        """Encode what the template gives; the names of special tokens become their ids."""
        text = _render(
            self._template,
            messages=messages,
            add_generation_prompt=True,
            bos_token=self._boundary_name,
            eos_token=self._boundary_name,
        )
        names = "|".join(re.escape(name) for name in sorted(self._special, key=len, reverse=True))
        ids: list[int] = []
        for piece in re.split(f"({names})", text):
            special = self._special.get(piece)
            ids += self._engine.tokenizer.encode(piece) if special is None else [special]
        return ids


def _room(context: int, num_new_tokens: int) -> int:
    """Return how many tokens a prompt may have; at least half of the context is the prompt's."""
    return max(context - num_new_tokens, context // 2, 1)


def _compile_template(template: str) -> Any:
    require("jinja2", extra="train")
    from jinja2 import TemplateSyntaxError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    # A template comes with a download: it must not reach anything but its arguments.
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    try:
        return environment.from_string(template)
    except TemplateSyntaxError as error:
        raise CorruptArtifactError(
            "the chat template is not a Jinja template",
            given=f"line {error.lineno}: {error.message}",
            hint="repair chat_template in the model folder, or remove it",
        ) from error


def _render(template: Any, **values: object) -> str:
    from jinja2 import TemplateError

    try:
        return str(template.render(**values))
    except TemplateError as error:
        raise CorruptArtifactError(
            "the chat template cannot be filled in",
            given=str(error),
            hint="repair chat_template in the model folder, or remove it",
        ) from error


def read_chat_template(folder: Path) -> str | None:
    """Return the chat template of a model folder, or None if it has none."""
    file = folder / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8")
    config = folder / "tokenizer_config.json"
    if not config.is_file():
        return None
    template = json.loads(config.read_text(encoding="utf-8")).get("chat_template")
    return template if isinstance(template, str) else None


def begin_conversation(engine: Engine, folder: Path) -> Conversation:
    """Begin a conversation in the way the model was made for.

    Args:
        engine: The running engine.
        folder: The model's folder, which may hold a chat template.

    Returns:
        Messages if there is a template, else a running text.
    """
    template = read_chat_template(folder)
    return RunningText(engine) if template is None else TemplatedChat(engine, template)
