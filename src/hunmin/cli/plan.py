"""`hunmin plan`: the layout, its speed, memory, time and cost, before a cluster is rented."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from hunmin.cli.plan_budget import BUDGET_ONLY, BudgetArguments, plan_budget
from hunmin.cli.plan_list import list_catalogue
from hunmin.cli.plan_parse import parse_failures, parse_partition_group, parse_price

if TYPE_CHECKING:
    from hunmin.planner.plan import Plan
    from hunmin.planner.run.run import RunWishes
    from hunmin.planner.search.candidates import Request


@dataclass(frozen=True)
class PlanArguments:
    """The words of a command line; see the help of each."""

    model: str | None
    cluster: str | None
    tokens: str | None
    price: str | None
    batch_tokens: str | None
    context: int | None
    partition_group: str | None
    tensor: int | None
    pipeline: int | None
    micro_batch: int | None
    recompute: Literal["none", "attention", "blocks"] | None
    optimizer: Literal["adamw", "muon"]
    precision: Literal["bf16", "fp16", "fp32"] | None
    failures: str | None
    storage: str | None
    software: str
    explain: bool
    out: Path | None
    as_json: bool


@click.command("plan")
@click.argument("model", required=False)
@click.option(
    "--cluster",
    metavar="NAME:NODES",
    help="Such as p4d:64; p4d:64@100Gbps with another network; my.yaml:16 for one of your own.",
)
@click.option("--tokens", metavar="N", help="Tokens to train on, such as 300B.")
@click.option("--price", metavar="N", help="What a node costs for an hour, in any money.")
@click.option(
    "--batch-tokens",
    metavar="N",
    help="Tokens of an optimizer step over all devices.  [default: what GPT-3 took for its size]",
)
@click.option(
    "--context", type=click.IntRange(1), metavar="N", help="Tokens of a row.  [the model's]"
)
@click.option(
    "--partition-group", metavar="N|world", help="Devices that share one copy of the model."
)
@click.option("--tensor", type=click.IntRange(1), metavar="N", help="Devices that split a matrix.")
@click.option(
    "--pipeline",
    type=click.IntRange(1),
    metavar="N",
    help="Stages of a pipeline: to explain runs of others, hunmin has none.",
)
@click.option("--micro-batch", type=click.IntRange(1), metavar="N", help="Rows of a microbatch.")
@click.option(
    "--recompute",
    type=click.Choice(["none", "attention", "blocks"]),
    help="What the backward pass computes again.",
)
@click.option(
    "--optimizer", type=click.Choice(["adamw", "muon"]), default="adamw", show_default=True
)
@click.option(
    "--precision",
    type=click.Choice(["bf16", "fp16", "fp32"]),
    help="Of matrix products.  [default: bf16 where the device has it]",
)
@click.option(
    "--failures",
    metavar="RATE",
    help="Such as 1e-3/device-day, or none.  [default: 4.7e-4, what Llama 3 saw]",
)
@click.option(
    "--storage", metavar="SPEED", help="What a node writes to shared storage, such as '2 GB/s'."
)
@click.option(
    "--software",
    default="hunmin",
    show_default=True,
    metavar="NAME",
    help="What trains; see --list.",
)
@click.option(
    "--budget", metavar="HOURS", help="Instead of MODEL: what to train in 10000gpu-hours."
)
@click.option("--device", metavar="NAME", help="With --budget: the device, such as A100-40GB.")
@click.option(
    "--mfu", type=float, metavar="SHARE", help="With --budget: model FLOPs utilisation.  [0.4]"
)
@click.option("--unique-tokens", metavar="N", help="With --budget: different tokens there are.")
@click.option(
    "--inference-tokens", metavar="N", help="With --budget: tokens the model will read and write."
)
@click.option("--list", "is_list", is_flag=True, help="Show clusters, models and software.")
@click.option("--explain", is_flag=True, help="Draw a step, and say why every other choice loses.")
@click.option(
    "-o",
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Write plan.json, plan.md and pictures of a step and of scaling.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON only.")
def command(budget: str | None, is_list: bool, **words: Any) -> None:
    """Choose a layout and tell speed, memory, time and cost before a cluster is rented.

    \b
    hunmin plan gpt3-175b --cluster p4de:16
    hunmin plan hyperclova-82b --cluster dgx-a100:128 --tokens 150B --explain
    hunmin plan 13B --cluster p4d:64 --tokens 300B --price 32.77 --out plans/13b
    hunmin plan 13B --cluster p4d:64 --partition-group world      what ZeRO-3 would do
    hunmin plan path/to/config.json --cluster my-cluster.yaml:4
    hunmin plan --budget 10000gpu-hours --device A100-40GB        what size to train
    hunmin plan --list

    MODEL is a name of the catalogue, a size of the hunmin family such as 1.3B, or a folder with a
    config.json. What you do not fix is searched for: the fastest layout that fits wins. Nothing is
    started, and no GPU is needed.
    """
    asked = BudgetArguments(budget, *(words.pop(name) for name in BUDGET_ONLY))
    arguments = PlanArguments(**{field.name: words[field.name] for field in fields(PlanArguments)})
    if is_list:
        _refuse_with_list(arguments)
        list_catalogue(as_json=arguments.as_json)
    elif budget is not None:
        _refuse_with_budget(arguments)
        plan_budget(asked, arguments.cluster, arguments.precision, as_json=arguments.as_json)
    else:
        asked.refuse_without_budget()
        _plan_model(arguments)


def _refuse_with_list(arguments: PlanArguments) -> None:
    from hunmin.core.errors import InputError

    if arguments.model is not None:
        raise InputError(
            "a list is of all models",
            where="--list",
            given=arguments.model,
            hint="leave MODEL out, or --list",
        )


def _refuse_with_budget(arguments: PlanArguments) -> None:
    """Words that would be ignored are refused."""
    from hunmin.core.errors import InputError

    allowed = {"cluster", "precision", "as_json", "software", "optimizer"}
    given = [
        field.name
        for field in fields(arguments)
        if field.name not in allowed and getattr(arguments, field.name)
    ]
    if given:
        names = ["MODEL" if name == "model" else _flag(name) for name in given]
        raise InputError(
            "a budget asks which model to train",
            where="--budget",
            given=", ".join(names),
            allowed="--device or --cluster, --mfu, --precision, --unique-tokens, "
            "--inference-tokens, --json",
            hint="leave --budget out to plan a model on a cluster",
        )


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _plan_model(arguments: PlanArguments) -> None:
    from hunmin.planner.plan import make_plan
    from hunmin.planner.report.report import terminal_lines

    request, wishes, tokens = _read_arguments(arguments)
    if arguments.out is not None:
        from hunmin.cli.plan_folder import check_plan_folder

        check_plan_folder(arguments.out)
    plan = make_plan(request, wishes, tokens=tokens)
    if arguments.as_json:
        click.echo(json.dumps(plan.as_dict(), indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(terminal_lines(plan, explain=arguments.explain)))
    if arguments.out is not None:
        _write_out(plan, arguments.out, as_json=arguments.as_json)


def _write_out(plan: Plan, folder: Path, *, as_json: bool) -> None:
    import shlex
    import sys

    from hunmin.cli.plan_folder import write_plan_folder

    write_plan_folder(plan, folder, shlex.join(["hunmin", *sys.argv[1:]]))
    click.echo(folder, err=as_json)


def _read_arguments(arguments: PlanArguments) -> tuple[Request, RunWishes, int | None]:
    from hunmin.core.units import parse_tokens
    from hunmin.planner.catalogue.clusters import find_cluster
    from hunmin.planner.catalogue.models import find_model
    from hunmin.planner.catalogue.software import find_software
    from hunmin.planner.search.candidates import Fixed, Request

    model, cluster = _names(arguments)
    shape = find_model(model)
    if arguments.context is not None:
        shape = shape.with_context(arguments.context)
    batch = arguments.batch_tokens
    request = Request(
        shape,
        find_cluster(cluster, where="--cluster"),
        find_software(arguments.software),
        global_batch_tokens=None if batch is None else parse_tokens(batch, where="--batch-tokens"),
        precision=arguments.precision,
        optimizer=arguments.optimizer,
        fixed=Fixed(
            partition_group=parse_partition_group(arguments.partition_group),
            tensor=arguments.tensor,
            pipeline=arguments.pipeline or 1,
            micro_batch=arguments.micro_batch,
            recompute=arguments.recompute,
        ),
    )
    given = arguments.tokens
    tokens = None if given is None else parse_tokens(given, where="--tokens")
    return request, _wishes(arguments, tokens), tokens


def _names(arguments: PlanArguments) -> tuple[str, str]:
    from hunmin.core.errors import InputError

    if arguments.model is not None and arguments.cluster is not None:
        return arguments.model, arguments.cluster
    missing = "MODEL" if arguments.model is None else "--cluster NAME:NODES"
    raise InputError(
        f"a plan needs {missing}",
        allowed="hunmin plan gpt3-175b --cluster p4de:16, or hunmin plan --budget 10000gpu-hours",
        hint="hunmin plan --list shows models and clusters",
    )


def _wishes(arguments: PlanArguments, tokens: int | None) -> RunWishes:
    from hunmin.core.units import parse_bandwidth
    from hunmin.planner.plan import SHOWN_TOKENS
    from hunmin.planner.run.failures import FAILURES_PER_DEVICE_DAY
    from hunmin.planner.run.run import RunWishes

    failures = parse_failures(arguments.failures)
    storage = arguments.storage
    return RunWishes(
        SHOWN_TOKENS if tokens is None else tokens,
        price=parse_price(arguments.price),
        storage_bandwidth=None if storage is None else parse_bandwidth(storage, where="--storage"),
        failures_per_device_day=FAILURES_PER_DEVICE_DAY if failures is None else failures,
    )
