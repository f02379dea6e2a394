"""`hunmin launch kubernetes`: manifests for kubectl."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any, Literal

import click

from hunmin.cli.launch_common import (
    ClusterArguments,
    cluster_arguments,
    read_train_recipe,
    write_out,
)

if TYPE_CHECKING:
    from hunmin.pipeline.recipe import Recipe


@click.command("kubernetes")
@cluster_arguments
@click.option("--image", required=True, help="Container image with hunmin, PyTorch and bash.")
@click.option(
    "--volume",
    "volumes",
    required=True,
    multiple=True,
    metavar="CLAIM:/PATH",
    help="PersistentVolumeClaim that all nodes can write to, and its folder; repeatable.",
)
@click.option(
    "--flavour",
    type=click.Choice(["pytorchjob", "trainjob"]),
    default="pytorchjob",
    show_default=True,
    help="Kubeflow's Training Operator, or Kubeflow Trainer 2.2 and newer.",
)
@click.option("--namespace", help="Namespace.  [default: that of kubectl]")
@click.option(
    "--runtime",
    default="torch-distributed",
    show_default=True,
    help="Cluster training runtime of a trainjob.",
)
@click.option("--queue", help="Queue of Kueue that the job waits in.")
@click.option("--shared-memory", metavar="SIZE", help="Largest /dev/shm, such as 64Gi.")
@click.option(
    "--workdir",
    metavar="FOLDER",
    help="Folder that paths in the recipe are relative to.  [default: the first volume]",
)
def command(
    arguments: ClusterArguments,
    image: str,
    volumes: tuple[str, ...],
    flavour: Literal["pytorchjob", "trainjob"],
    **options: Any,
) -> None:
    """Write manifests that train a recipe on a Kubernetes cluster with Kubeflow.

    \b
    hunmin launch kubernetes RECIPE --nodes 4 --gpus-per-node 8 --image registry/hunmin:0.1 \\
        --volume shared:/shared -o train.yaml
    hunmin launch kubernetes RECIPE --nodes 2:4 … | kubectl apply -f -      elastic
    hunmin launch kubernetes RECIPE --nodes 4 … --flavour trainjob

    The recipe travels in a ConfigMap, with its base and your overrides in it. The run folder is
    runs/<name> on the first volume unless --run-dir says otherwise.
    """
    from hunmin.parallel.launch import (
        RECIPE_PATH,
        KubernetesRequest,
        TrainCommand,
        Volume,
        kubernetes_manifests,
        manifests_yaml,
    )

    loaded = read_train_recipe(arguments.recipe, arguments.overrides)
    kubernetes = KubernetesRequest(
        image=image,
        volumes=tuple(map(Volume.parse, volumes)),
        recipe_text=recipe_text(loaded.spec),
        flavour=flavour,
        **options,
    )
    run_dir = arguments.run_dir or f"runs/{loaded.spec.name}"
    absolute = posixpath.normpath(posixpath.join(kubernetes.folder, run_dir))
    request = arguments.launch_request(loaded.spec, TrainCommand(RECIPE_PATH, (), absolute))
    manifests = kubernetes_manifests(request, kubernetes)
    facts = {"target": flavour, "manifests": manifests}
    write_out(arguments, request, manifests_yaml(manifests), facts, "kubectl apply -f {}")


def recipe_text(recipe: Recipe) -> str:
    """Return a recipe with its base and all overrides in it, as YAML.

    Args:
        recipe: The recipe.

    Returns:
        Text that `read_recipe` reads as the same recipe.
    """
    import yaml

    values = recipe.model_dump(mode="json", exclude_unset=True)
    return yaml.safe_dump(values, allow_unicode=True, sort_keys=False)
