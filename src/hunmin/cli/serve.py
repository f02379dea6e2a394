"""`hunmin serve`: a model over an OpenAI-compatible API."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import click

from hunmin.cli.engine import open_engine
from hunmin.core.extras import require


@click.command("serve")
@click.argument("model_folder", type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000, show_default=True,
    help="0 takes any free port.",
)  # fmt: skip
@click.option("--name", help="Name of the model for clients.  [default: that of the run or folder]")
@click.option(
    "--api-key", envvar="HUNMIN_API_KEY", metavar="KEY",
    help="Key that clients must send; better set as HUNMIN_API_KEY, which other users cannot see.",
)  # fmt: skip
@click.option("--allow-no-key", is_flag=True, help="Serve other machines without a key.")
@click.option(
    "--parallel", "num_rows", type=click.IntRange(1, 1024), default=16, show_default=True,
    metavar="N", help="Texts that are written at the same time; each needs memory.",
)  # fmt: skip
@click.option(
    "--queue", "max_waiting", type=click.IntRange(1), default=64, show_default=True, metavar="N",
    help="Refuse requests (status 429) while this many texts wait.",
)  # fmt: skip
def command(
    model_folder: Path,
    host: str,
    port: int,
    name: str | None,
    api_key: str | None,
    allow_no_key: bool,
    num_rows: int,
    max_waiting: int,
) -> None:
    """Serve the model in MODEL_FOLDER over an OpenAI-compatible API until Ctrl-C.

    MODEL_FOLDER is a model, or the folder of a run.

    \b
    hunmin serve runs/quickstart --port 8000
    """
    for package in ("fastapi", "uvicorn", "torch", "transformers"):
        require(package, extra="serve")
    from hunmin.serving.api import create_app
    from hunmin.serving.folder import find_model_folder, model_name
    from hunmin.serving.server import Server, address_of, listen, refuse_open_exposure

    refuse_open_exposure(host, api_key=api_key, allow_no_key=allow_no_key)
    find_model_folder(model_folder)
    # The port is taken first: a busy one is told before the seconds that loading takes.
    listener = listen(host, port)
    with listener, open_engine(model_folder, num_rows=num_rows, max_waiting=max_waiting) as engine:
        model_id = name or model_name(model_folder)
        app = create_app(engine, model_id=model_id, api_key=api_key or None)
        greeting = _greeting(address_of(listener), model_id, has_key=bool(api_key))
        Server(app, on_ready=lambda: click.echo(greeting, err=True)).serve_until_stopped(listener)
    click.echo("stopped", err=True)


def _greeting(url: str, model_id: str, *, has_key: bool) -> str:
    key = ' -H "Authorization: Bearer $HUNMIN_API_KEY"' if has_key else ""
    body = json.dumps({"model": model_id, "prompt": "", "max_tokens": 32}, ensure_ascii=False)
    return (
        f"serving {model_id} at {url}/v1 (Ctrl-C stops)\n"
        f"try: curl {url}/v1/completions{key} -H 'Content-Type: application/json'"
        f" -d {shlex.quote(body)}"
    )
