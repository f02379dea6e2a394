"""PyTorchJob (kubeflow.org/v1): workers of equal rank that meet at the first one, also elastic."""

from __future__ import annotations

from hunmin.parallel.launch.pods import (
    RENDEZVOUS_PORT,
    KubernetesRequest,
    Manifest,
    environment,
    metadata,
    resources,
    volume_mounts,
    volumes,
)
from hunmin.parallel.launch.request import LaunchRequest
from hunmin.parallel.launch.torchrun import flat, torchrun_options


def pytorchjob(request: LaunchRequest, kubernetes: KubernetesRequest) -> Manifest:
    """Return a PyTorchJob.

    Args:
        request: The run.
        kubernetes: What only Kubernetes wants to know.

    Returns:
        The manifest.

    Note:
        Every run has an elastic policy, with equal bounds if it is not elastic: without one the
        operator sets up a rendezvous that a restarted pod cannot join again.
    """
    nodes = request.nodes
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": metadata(request.name, kubernetes, queue=True),
        "spec": {
            "nprocPerNode": str(request.processes_per_node),
            "runPolicy": _run_policy(request),
            "elasticPolicy": {
                "minReplicas": nodes.fewest,
                "maxReplicas": nodes.most,
                "maxRestarts": request.max_restarts,
                "rdzvBackend": "c10d",
                "rdzvPort": RENDEZVOUS_PORT,
            },
            "pytorchReplicaSpecs": {
                "Worker": {
                    "replicas": nodes.most,
                    "restartPolicy": "OnFailure",
                    "template": {"spec": _pod(request, kubernetes)},
                }
            },
        },
    }


def _run_policy(request: LaunchRequest) -> Manifest:
    # When the first worker dies all pods start anew, and each of them counts.
    policy: Manifest = {
        "cleanPodPolicy": "Running",
        "backoffLimit": request.max_restarts * request.nodes.most,
    }
    if request.seconds is not None:
        policy["activeDeadlineSeconds"] = request.seconds
    return policy


def _pod(request: LaunchRequest, kubernetes: KubernetesRequest) -> Manifest:
    container: Manifest = {
        "name": "pytorch",
        "image": kubernetes.image,
        "command": _command(request),
        "workingDir": kubernetes.folder,
        "env": environment(request),
        "resources": resources(request),
        "volumeMounts": volume_mounts(kubernetes),
    }
    return {
        "terminationGracePeriodSeconds": request.grace,
        "containers": [container],
        "volumes": volumes(request, kubernetes),
    }


def _command(request: LaunchRequest) -> list[str]:
    options = torchrun_options(
        request,
        nnodes=str(request.nodes),
        rdzv_endpoint=f"{request.name}-worker-0:{RENDEZVOUS_PORT}",
        rdzv_id=request.name,
        local_addr="$(POD_IP)",
    )
    return ["torchrun", *flat(options), *request.command.words()]
