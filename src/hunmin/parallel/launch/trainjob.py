"""TrainJob (trainer.kubeflow.org/v1alpha1, Kubeflow Trainer 2.2): a fixed number of nodes."""

from __future__ import annotations

import shlex

from hunmin.core.errors import InputError
from hunmin.parallel.launch.pods import (
    KubernetesRequest,
    Manifest,
    environment,
    metadata,
    resources,
    volume_mounts,
    volumes,
)
from hunmin.parallel.launch.request import LaunchRequest
from hunmin.parallel.launch.torchrun import torchrun_options

# Pods of Kubeflow's runtimes: the replicated job and its container have the same name.
_NODE = "node"


def trainjob(request: LaunchRequest, kubernetes: KubernetesRequest) -> Manifest:
    """Return a TrainJob.

    Args:
        request: The run.
        kubernetes: What only Kubernetes wants to know.

    Returns:
        The manifest.

    Raises:
        InputError: The run is elastic.
    """
    if request.nodes.elastic:
        raise InputError(
            "a TrainJob has a fixed number of nodes",
            where="--nodes",
            given=str(request.nodes),
            hint="give one number, or use --flavour pytorchjob",
        )
    spec: Manifest = {
        "runtimeRef": {
            "apiGroup": "trainer.kubeflow.org",
            "kind": "ClusterTrainingRuntime",
            "name": kubernetes.runtime,
        },
        "trainer": _trainer(request, kubernetes),
        "runtimePatches": [_patch(request, kubernetes)],
    }
    if request.seconds is not None:
        spec["activeDeadlineSeconds"] = request.seconds
    return {
        "apiVersion": "trainer.kubeflow.org/v1alpha1",
        "kind": "TrainJob",
        "metadata": metadata(request.name, kubernetes, queue=True),
        "spec": spec,
    }


def _trainer(request: LaunchRequest, kubernetes: KubernetesRequest) -> Manifest:
    return {
        "image": kubernetes.image,
        "command": ["bash", "-c", _script(request, kubernetes)],
        "env": environment(request),
        "numNodes": request.nodes.most,
        "numProcPerNode": request.processes_per_node,
        "resourcesPerNode": resources(request),
    }


def _script(request: LaunchRequest, kubernetes: KubernetesRequest) -> str:
    """Return a script that becomes torchrun; the operator gives PET_NODE_RANK and the address."""
    options = torchrun_options(request)
    # The name of the first pod may not be resolvable yet when it starts: it is told that it hosts.
    settings = f'"is_host=$is_host,{options.pop("--rdzv-conf")}"'
    expanded = {
        "--nnodes": str(request.nodes),
        "--rdzv-endpoint": '"$PET_MASTER_ADDR:$PET_MASTER_PORT"',
        "--rdzv-id": request.name,
        "--rdzv-conf": settings,
        "--local-addr": '"$POD_IP"',
    }
    fixed = {name: shlex.quote(value) for name, value in options.items()}
    lines = [f"{name} {value}" for name, value in (expanded | fixed).items()]
    command = " \\\n  ".join(["exec torchrun", *lines, shlex.join(request.command.words())])
    host = 'is_host=0\nif [ "$PET_NODE_RANK" = 0 ]; then is_host=1; fi'
    return f"cd {shlex.quote(kubernetes.folder)} || exit\n{host}\n{command}\n"


def _patch(request: LaunchRequest, kubernetes: KubernetesRequest) -> Manifest:
    pod = {
        "containers": [{"name": _NODE, "volumeMounts": volume_mounts(kubernetes)}],
        "volumes": volumes(request, kubernetes),
    }
    job = {"name": _NODE, "template": {"spec": {"template": {"spec": pod}}}}
    return {
        "manager": "hunmin/launch",
        "trainingRuntimeSpec": {"template": {"spec": {"replicatedJobs": [job]}}},
    }
