"""Manifests for Kubernetes: the recipe as a ConfigMap, and a Kubeflow job that trains it.

`pytorchjob` is Kubeflow's Training Operator v1, which knows elastic runs. `trainjob` is Kubeflow
Trainer (2.2 and newer), which takes over from it and has a fixed number of nodes.
"""

from __future__ import annotations

import re

import yaml

from hunmin.core.errors import InputError
from hunmin.parallel.launch.pods import (
    KubernetesRequest,
    Manifest,
    check_quantity,
    metadata,
    recipe_config,
)
from hunmin.parallel.launch.pytorchjob import pytorchjob
from hunmin.parallel.launch.request import LaunchRequest
from hunmin.parallel.launch.trainjob import trainjob

_NAME = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?", re.ASCII)
# What is added to the name of a job in the names of its pods.
_LONGEST_SUFFIX = len("-worker-0000")


def kubernetes_manifests(request: LaunchRequest, kubernetes: KubernetesRequest) -> list[Manifest]:
    """Return what `kubectl apply` takes.

    Args:
        request: The run; its recipe is read from the ConfigMap.
        kubernetes: What only Kubernetes wants to know.

    Returns:
        A ConfigMap with the recipe, and the job.

    Raises:
        InputError: A name that Kubernetes refuses, a run folder on no volume, or an elastic run
            that the chosen operator does not know.
    """
    check_job_name(request.name)
    check_quantity("--memory", request.memory)
    _check_run_dir(request, kubernetes)
    recipe: Manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(recipe_config(request), kubernetes, queue=False),
        "data": {"recipe.yaml": kubernetes.recipe_text},
    }
    job = pytorchjob if kubernetes.flavour == "pytorchjob" else trainjob
    return [recipe, job(request, kubernetes)]


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as such, to be read and edited."""


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def manifests_yaml(manifests: list[Manifest]) -> str:
    """Return manifests as YAML documents.

    Args:
        manifests: What `kubernetes_manifests` returned.

    Returns:
        Text for `kubectl apply -f`.
    """
    return yaml.dump_all(
        manifests,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=100,
        explicit_start=True,
    )


def check_job_name(name: str) -> None:
    """Compare a name with what Kubernetes takes for jobs and the services of their pods.

    Args:
        name: Name of the job.

    Raises:
        InputError: Kubernetes would refuse it.
    """
    longest = 63 - _LONGEST_SUFFIX
    if len(name) <= longest and _NAME.fullmatch(name):
        return
    better = re.sub(r"[^a-z0-9]+", "-", name.lower()).lstrip("-0123456789")[:longest].rstrip("-")
    raise InputError(
        "Kubernetes takes no such name (RFC 1035, RFC 1123)",
        where="--name",
        given=name,
        allowed=f"lower-case letters, digits and -, first a letter, at most {longest} characters",
        hint=f"--name {better}" if better else "choose one with --name",
    )


def _check_run_dir(request: LaunchRequest, kubernetes: KubernetesRequest) -> None:
    folder = request.command.run_dir
    if any(f"{folder}/".startswith(f"{volume.path}/") for volume in kubernetes.volumes):
        return
    raise InputError(
        "the run folder does not lie on a volume that the nodes share",
        where="--run-dir",
        given=folder,
        allowed=" or ".join(f"a folder in {volume.path}/" for volume in kubernetes.volumes),
    )
