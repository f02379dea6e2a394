"""`hunmin chat`: talk with a model on the terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hunmin.cli.engine import open_engine
from hunmin.cli.sampling import sampling_options, sampling_params
from hunmin.cli.stdin import read_stdin_lines
from hunmin.core.errors import HunminError, suggest
from hunmin.serving.settings import change_setting

if TYPE_CHECKING:
    from hunmin.serving.chat import Conversation
    from hunmin.serving.engine import Engine
    from hunmin.serving.spec import SamplingParams

HELP = """\
/reset                 begin anew
/set NAME VALUE        change a setting, such as /set temperature 0.7 or /set stop \\n
/set                   show the settings
/help                  show this
/quit                  leave (also Ctrl-D)
An empty line lets the model go on. Ctrl-C stops an answer."""


@click.command("chat")
@click.argument("model_folder", type=click.Path(path_type=Path))
@sampling_options
def command(model_folder: Path, **flags: Any) -> None:
    """Talk with the model in MODEL_FOLDER; /help lists the commands.

    MODEL_FOLDER is a model, or the folder of a run. If its tokenizer has a chat template, lines are
    messages; if not, you and the model write one text in turn.

    \b
    hunmin chat runs/quickstart --temperature 0.7
    """
    params = sampling_params(flags)
    with open_engine(model_folder, num_rows=1) as engine:
        from hunmin.serving.chat import begin_conversation
        from hunmin.serving.folder import find_model_folder

        conversation = begin_conversation(engine, find_model_folder(model_folder))
        _notify("/help lists the commands")
        Chat(engine, conversation, params).run(_lines())


class Chat:
    """Reads lines, obeys commands, prints answers.

    Args:
        engine: Writes the answers.
        conversation: Keeps what was said.
        params: Settings at the start.
    """

    def __init__(self, engine: Engine, conversation: Conversation, params: SamplingParams) -> None:
        self._engine = engine
        self._conversation = conversation
        self._params = params

    def run(self, lines: Iterator[str]) -> None:
        """Work until the lines end or one of them says /quit."""
        for line in lines:
            try:
                if not line.startswith("/"):
                    self._answer(line)
                elif self._obey(line.split(maxsplit=2)):
                    return
            except HunminError as error:
                _notify(f"error: {error}")

    def _obey(self, words: list[str]) -> bool:
        """Carry out a command; return whether it was the last one."""
        match words:
            case ["/quit" | "/exit"]:
                return True
            case ["/reset"]:
                self._conversation.reset()
                _notify("a new beginning")
            case ["/set"]:
                _notify(" ".join(f"{name}={value}" for name, value in self._params))
            case ["/set", name, value]:
                self._params = change_setting(self._params, name, value)
                _notify(f"{name} is {getattr(self._params, name)!r}")
            case ["/help"]:
                _notify(HELP)
            case _:
                known = ("/reset", "/set NAME VALUE", "/help", "/quit")
                hint = suggest(words[0], [name.split()[0] for name in known])
                _notify(f"no such command: {' '.join(words)}.{hint} Known: {', '.join(known)}")
        return False

    def _answer(self, line: str) -> None:
        prompt = self._conversation.prompt_after(line, num_new_tokens=self._params.max_tokens)
        if self._conversation.has_forgotten:
            _notify("the beginning no longer fits the model's context and is left out")
        answer, is_end = "", False
        # Ctrl-C stops this answer, not the conversation.
        with contextlib.suppress(KeyboardInterrupt):
            for chunk in self._engine.stream(prompt, self._params):
                click.echo(chunk.text, nl=False)
                answer += chunk.text
                last_id = chunk.token.token_id if chunk.token else None
                is_end = last_id == self._engine.tokenizer.boundary_id
        click.echo()
        self._conversation.remember(answer, is_end=is_end)


def _lines() -> Iterator[str]:
    """Yield what the user types, with line editing on a terminal; ends with Ctrl-D or Ctrl-C."""
    if not sys.stdin.isatty():
        yield from read_stdin_lines()
        return
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401 - importing it gives input() editing and history
    with contextlib.suppress(EOFError, KeyboardInterrupt):
        while True:
            yield input("> ")


def _notify(message: str) -> None:
    click.echo(message, err=True)
