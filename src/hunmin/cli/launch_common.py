"""What the commands of `hunmin launch` have in common."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from hunmin.core.recipe import LoadedRecipe
    from hunmin.parallel.launch import LaunchRequest, Nodes, TrainCommand
    from hunmin.pipeline.recipe import Recipe


@dataclass(frozen=True)
class ClusterArguments:
    """The words of a command line that every kind of cluster takes; see the help of each."""

    recipe: Path
    overrides: tuple[str, ...]
    nodes: str
    gpus_per_node: int
    processes_per_node: int | None
    cpus_per_node: int | None
    memory: str | None
    time: str | None
    grace: int
    max_restarts: int
    interface: str | None
    env: tuple[str, ...]
    rdzv_conf: tuple[str, ...]
    name: str | None
    run_dir: str | None
    output: Path | None
    force: bool
    as_json: bool

    def launch_request(self, recipe: Recipe, command: TrainCommand) -> LaunchRequest:
        """Return what is asked for, checked against the recipe."""
        from hunmin.parallel.launch import LaunchRequest, Nodes, parse_walltime

        processes = (
            self.gpus_per_node if self.processes_per_node is None else self.processes_per_node
        )
        request = LaunchRequest(
            name=self.name or recipe.name,
            command=command,
            nodes=Nodes.parse(self.nodes),
            gpus_per_node=self.gpus_per_node,
            processes_per_node=processes,
            cpus_per_node=self.cpus_per_node,
            memory=self.memory,
            seconds=None if self.time is None else parse_walltime(self.time),
            grace=self.grace,
            max_restarts=self.max_restarts,
            interface=self.interface,
            environment=_pairs(self.env),
            rendezvous=_pairs(self.rdzv_conf),
        )
        check_recipe_layouts(recipe, request.nodes, processes)
        return request


def cluster_arguments(function: Callable[..., None]) -> Callable[..., None]:
    """Add RECIPE, overrides and the flags of every kind of cluster.

    Args:
        function: Takes them as `ClusterArguments`, and its own options by name.

    Returns:
        What click calls.
    """

    @functools.wraps(function)
    def with_arguments(**values: Any) -> None:
        asked = {field.name: values.pop(field.name) for field in fields(ClusterArguments)}
        function(ClusterArguments(**asked), **values)

    for decorator in reversed(_DECORATORS):
        with_arguments = decorator(with_arguments)
    return with_arguments


recipe_argument = click.argument("recipe", type=click.Path(path_type=Path))
overrides_argument = click.argument("overrides", nargs=-1, metavar="[KEY.PATH=VALUE]...")
run_dir_option = click.option(
    "--run-dir",
    metavar="FOLDER",
    help="Folder for all results, shared by all nodes.  [default: runs/<name of the recipe>]",
)
_DECORATORS = (
    recipe_argument,
    overrides_argument,
    click.option(
        "--nodes", required=True, metavar="N|MIN:MAX", help="Nodes; MIN:MAX for an elastic run."
    ),
    click.option(
        "--gpus-per-node",
        required=True,
        type=click.IntRange(0),
        metavar="N",
        help="GPUs of a node; 0 for processors only.",
    ),
    click.option(
        "--processes-per-node",
        type=click.IntRange(0),
        metavar="N",
        help="Ranks of a node.  [default: one for each GPU]",
    ),
    click.option(
        "--cpus-per-node",
        type=click.IntRange(1),
        metavar="N",
        help="Processor cores asked for on each node.  [default: all on Slurm, none on Kubernetes]",
    ),
    click.option("--memory", metavar="SIZE", help="Host memory of each node, such as 500G."),
    click.option(
        "--time", metavar="LIMIT", help="Time limit as Slurm writes it: 24:00:00, 2-12, 90."
    ),
    click.option(
        "--grace",
        type=int,
        default=300,
        show_default=True,
        metavar="SECONDS",
        help="From the signal that time is up to the end: enough to finish a step and save.",
    ),
    click.option(
        "--max-restarts",
        type=click.IntRange(0),
        default=3,
        show_default=True,
        metavar="N",
        help="How often ranks start anew after one failed.",
    ),
    click.option(
        "--interface",
        metavar="NAME",
        help="Network interface of NCCL and gloo, such as ib0 or eth0.  [default: they choose]",
    ),
    click.option(
        "--env", multiple=True, metavar="NAME=VALUE", help="Variable for all ranks; repeatable."
    ),
    click.option(
        "--rdzv-conf",
        multiple=True,
        metavar="NAME=N",
        help="Time-out of the rendezvous, such as last_call_timeout=10; repeatable.",
    ),
    click.option("--name", help="Name of the job.  [default: that of the recipe]"),
    run_dir_option,
    click.option(
        "--output",
        "-o",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Write it there.  [default: standard output]",
    ),
    click.option("--force", is_flag=True, help="Replace FILE if it says something else."),
    click.option("--json", "as_json", is_flag=True, help="Print what is written as JSON."),
)


def read_train_recipe(path: Path, overrides: tuple[str, ...]) -> LoadedRecipe[Recipe]:
    """Read a recipe that trains something.

    Args:
        path: The recipe.
        overrides: Items `key.path=value`.

    Returns:
        The recipe.

    Raises:
        RecipeError: It does not train.
    """
    from hunmin.core.errors import RecipeError
    from hunmin.pipeline.recipe import read_recipe

    loaded = read_recipe(path, overrides)
    if loaded.spec.train is None or loaded.spec.use.train is not None:
        raise RecipeError(
            "this recipe trains no model",
            where=path,
            given="no section train" if loaded.spec.train is None else "use.train",
            allowed="a section train, and no use.train",
        )
    return loaded


def write_out(
    arguments: ClusterArguments, request: LaunchRequest, text: str, facts: dict[str, Any], hint: str
) -> None:
    """Write the file, or print it; say what to do with it.

    Args:
        arguments: Where to, and how.
        request: What was asked for.
        text: What is written.
        facts: What only this kind of cluster has to say in JSON.
        hint: The command that takes the file, with {} for it.
    """
    if arguments.output is not None:
        _write(arguments.output, text, force=arguments.force)
        click.echo(f"next: {hint.format(arguments.output)}", err=True)
    if arguments.as_json:
        click.echo(json.dumps(_described(arguments, request, text, facts), indent=2))
    else:
        click.echo(arguments.output or text.rstrip("\n"))


def _described(
    arguments: ClusterArguments, request: LaunchRequest, text: str, facts: dict[str, Any]
) -> dict[str, Any]:
    return {
        "name": request.name,
        "nodes": {"fewest": request.nodes.fewest, "most": request.nodes.most},
        "processes_per_node": request.processes_per_node,
        "run_dir": request.command.run_dir,
        "output": None if arguments.output is None else str(arguments.output),
        "text": text,
        **facts,
    }


def _write(path: Path, text: str, *, force: bool) -> None:
    from hunmin.core.atomic import atomic_write_text
    from hunmin.core.errors import InputError

    if path.exists() and not force and path.read_text(encoding="utf-8", errors="replace") != text:
        raise InputError(
            "there is a file that says something else",
            where=path,
            hint="name another one with --output, or add --force to replace it",
        )
    atomic_write_text(path, text)


def _pairs(items: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    split = [item.partition("=") for item in items]
    return tuple((name, value) for name, _, value in split)


def check_recipe_layouts(recipe: Recipe, nodes: Nodes, processes: int) -> None:
    """Compare what a recipe says about parallelism with nodes and ranks.

    Args:
        recipe: The recipe.
        nodes: Nodes of the run.
        processes: Ranks of a node.

    Raises:
        InputError: What the run would say.
    """
    from hunmin.parallel.launch import check_layouts
    from hunmin.parallel.spec import ParallelSpec

    check_layouts(getattr(recipe, "parallel", None) or ParallelSpec(), nodes, processes)
