"""`hunmin serve`: a language model over an OpenAI-compatible API, an NLU model, or both."""

from __future__ import annotations

from pathlib import Path

import click

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
    metavar="N", help="Texts that are written on at the same time; each needs memory.",
)  # fmt: skip
@click.option(
    "--queue", "max_waiting", type=click.IntRange(1), default=64, show_default=True, metavar="N",
    help="Refuse requests (status 429) while this many texts wait.",
)  # fmt: skip
@click.option(
    "--nlu", "nlu_folder", type=click.Path(path_type=Path), metavar="FOLDER",
    help="An NLU model to serve beside the language model in MODEL_FOLDER.",
)  # fmt: skip
@click.option(
    "--workers", "num_workers", type=click.IntRange(1, 256), default=1, show_default=True,
    metavar="N", help="Requests to an NLU model that are worked on at the same time, a core each.",
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
    nlu_folder: Path | None,
    num_workers: int,
) -> None:
    """Serve the model in MODEL_FOLDER over HTTP until Ctrl-C.

    MODEL_FOLDER is a model, or the folder of a run. A language model answers the OpenAI API, an
    NLU model (exported or trained) POST /v1/nlu; /openapi.json describes both.

    \b
    hunmin serve runs/quickstart --port 8000
    hunmin serve runs/assistant/export
    hunmin serve runs/quickstart --nlu runs/assistant/export
    """
    from hunmin.cli.serve_models import ServeRequest, extra_for, open_app

    for package in ("fastapi", "uvicorn"):
        require(package, extra=extra_for(model_folder))
    from hunmin.serving.server import Server, address_of, listen, refuse_open_exposure

    refuse_open_exposure(host, api_key=api_key, allow_no_key=allow_no_key)
    wish = ServeRequest.of(
        model_folder,
        nlu_folder,
        name=name,
        api_key=api_key or None,
        num_rows=num_rows,
        max_waiting=max_waiting,
        num_workers=num_workers,
    )
    # The port is taken first: a busy one is told before the seconds that loading takes.
    with listen(host, port) as listener, open_app(wish) as app:
        greeting = wish.greeting(address_of(listener))
        Server(app, on_ready=lambda: click.echo(greeting, err=True)).serve_until_stopped(listener)
    click.echo("stopped", err=True)
