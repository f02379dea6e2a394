"""What `hunmin serve` serves: which models a user means, and the application with them."""

from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from hunmin.cli.engine import open_engine
from hunmin.core.extras import require
from hunmin.serving.nlu.folder import find_nlu_folder, need_nlu_folder, nlu_name, open_parser

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from hunmin.serving.nlu.api import NluService


@dataclass(frozen=True)
class ServeRequest:
    """What shall be served; at least one of two models.

    Args:
        language_model: Folder of the model that writes on, with the name it is served under.
        nlu_model: Folder of the model that parses utterances, with its name.
        api_key: What clients must send.
        num_rows: Texts that are written on at the same time.
        max_waiting: Requests are refused while this many wait.
        num_workers: Requests that are parsed at the same time.
    """

    language_model: tuple[Path, str] | None
    nlu_model: tuple[Path, str] | None
    api_key: str | None
    num_rows: int
    max_waiting: int
    num_workers: int

    @classmethod
    def of(
        cls, model_folder: Path, nlu_folder: Path | None, *, name: str | None, **settings: Any
    ) -> ServeRequest:
        """Find the models that a user means.

        Args:
            model_folder: A language model or an NLU model.
            nlu_folder: An NLU model beside a language model.
            name: Name of the first one for clients; None for that of its run or folder.
            **settings: The other fields.

        Returns:
            The request; both folders are there and hold what they must.

        Raises:
            MissingInputError: There is no such folder.
            ArtifactKindError: It holds no model.
        """
        if find_nlu_folder(model_folder) is not None:
            if nlu_folder is not None:
                raise click.UsageError("MODEL_FOLDER is an NLU model already: leave --nlu out")
            return cls(None, (model_folder, name or nlu_name(model_folder)), **settings)
        for package in ("torch", "transformers"):
            require(package, extra="serve")
        from hunmin.serving.folder import model_name

        language_model = model_folder, name or model_name(model_folder)
        nlu_model = None if nlu_folder is None else _beside(nlu_folder, language_model[1])
        return cls(language_model, nlu_model, **settings)

    def greeting(self, url: str) -> str:
        """Return what is said once requests are answered: what is where, and how to try it.

        Args:
            url: Of the server.

        Returns:
            Lines.
        """
        models = [model for model in (self.language_model, self.nlu_model) if model is not None]
        names = " and ".join(name for _, name in models)
        lines = [f"serving {names} at {url}/v1 (Ctrl-C stops)"]
        if self.language_model is not None:
            body = {"model": self.language_model[1], "prompt": "", "max_tokens": 32}
            lines.append(self._try(f"{url}/v1/completions", body))
        if self.nlu_model is not None:
            lines.append(self._try(f"{url}/v1/nlu", {"text": "거실 불 켜줘", "locale": "ko"}))
        return "\n".join(lines)

    def _try(self, url: str, body: dict[str, object]) -> str:
        key = ' -H "Authorization: Bearer $HUNMIN_API_KEY"' if self.api_key else ""
        data = shlex.quote(json.dumps(body, ensure_ascii=False))
        return f"try: curl {url}{key} -H 'Content-Type: application/json' -d {data}"


def extra_for(model_folder: Path) -> str:
    """Return the extra of hunmin that serves a model: a parser needs no torch."""
    return "serve" if find_nlu_folder(model_folder) is None else "nlu"


def _beside(folder: Path, other_name: str) -> tuple[Path, str]:
    """Two models need two names, also where both lie in the folder of one run."""
    need_nlu_folder(folder)
    name = nlu_name(folder)
    return folder, f"{name}-nlu" if name == other_name else name


@contextlib.contextmanager
def open_app(wish: ServeRequest) -> Iterator[ASGIApp]:
    """Load the models, and close them at the end.

    Args:
        wish: What shall be served.

    Yields:
        The application.
    """
    with contextlib.ExitStack() as models:
        nlu = None
        if wish.nlu_model is not None:
            nlu = models.enter_context(_open_nlu(wish, *wish.nlu_model))
        if wish.language_model is None:
            from hunmin.serving.nlu.api import create_nlu_app

            yield create_nlu_app(cast("NluService", nlu), api_key=wish.api_key)
        else:
            from hunmin.serving.api import create_app

            folder, name = wish.language_model
            engine = models.enter_context(
                open_engine(folder, num_rows=wish.num_rows, max_waiting=wish.max_waiting)
            )
            yield create_app(engine, model_id=name, api_key=wish.api_key, nlu=nlu)


def _open_nlu(wish: ServeRequest, folder: Path, name: str) -> NluService:
    from hunmin.serving.nlu.api import NluService

    parser = open_parser(folder)
    return NluService(parser, name, num_workers=wish.num_workers, max_waiting=wish.max_waiting)
