"""What pods need on Kubernetes, whichever operator makes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from hunmin.core.errors import InputError
from hunmin.parallel.launch.request import LaunchRequest

Manifest = dict[str, Any]
RENDEZVOUS_PORT = 29400
RECIPE_FOLDER = "/etc/hunmin"
RECIPE_PATH = f"{RECIPE_FOLDER}/recipe.yaml"
_MOST_RECIPE_BYTES = 900_000  # a ConfigMap holds 1 MiB with everything around the recipe
_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})*", re.ASCII)
_IMAGE = re.compile(r"[A-Za-z0-9][\w.:/@-]*", re.ASCII)
_QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?([KMGTPE]i|[kMGTPE])?", re.ASCII)


@dataclass(frozen=True)
class Volume:
    """A PersistentVolumeClaim and where it is mounted.

    Args:
        claim: Name of the claim; all nodes must be able to write to it (ReadWriteMany).
        path: Folder in the container.
    """

    claim: str
    path: str

    @classmethod
    def parse(cls, text: str) -> Volume:
        """Return the volume that `CLAIM:/path` stands for.

        Args:
            text: Claim and folder with a colon between them.

        Returns:
            The volume.

        Raises:
            InputError: It is something else.
        """
        claim, _, path = text.partition(":")
        is_claim = len(claim) <= 253 and _SUBDOMAIN.fullmatch(claim)
        if not is_claim or not re.fullmatch(r"/[^\s:]+", path):
            raise InputError(
                "not a volume",
                where="--volume",
                given=text,
                allowed="CLAIM:/path, a PersistentVolumeClaim and a folder, such as shared:/shared",
            )
        return cls(claim, path.rstrip("/"))


@dataclass(frozen=True)
class KubernetesRequest:
    """What only Kubernetes wants to know.

    Args:
        image: Container image with hunmin, torch and bash.
        volumes: Volumes that all nodes share; the run folder lies on one of them.
        recipe_text: The recipe as YAML, overrides applied.
        flavour: Which of Kubeflow's operators the cluster has.
        namespace: Namespace; that of kubectl if None.
        runtime: Cluster training runtime that a TrainJob is based on.
        queue: Queue of Kueue; none if None.
        shared_memory: Largest size of /dev/shm; half of the node's memory if None.
        workdir: Folder in which ranks run, to which paths are relative; the first volume if None.

    Raises:
        InputError: No image or volume, or a name that Kubernetes refuses.
    """

    image: str
    volumes: tuple[Volume, ...]
    recipe_text: str = field(repr=False)
    flavour: Literal["pytorchjob", "trainjob"] = "pytorchjob"
    namespace: str | None = None
    runtime: str = "torch-distributed"
    queue: str | None = None
    shared_memory: str | None = None
    workdir: str | None = None

    def __post_init__(self) -> None:
        if not _IMAGE.fullmatch(self.image):
            raise InputError(
                "pods need a container image",
                where="--image",
                given=repr(self.image),
                allowed="a reference such as registry.example.org/hunmin:0.1",
            )
        if not self.volumes:
            raise InputError(
                "a run folder inside a pod is lost with it",
                where="--volume",
                hint="name a claim that all nodes can write to: --volume CLAIM:/shared",
            )
        for where, name in (
            ("--namespace", self.namespace),
            ("--runtime", self.runtime),
            ("--queue", self.queue),
        ):
            _check_name(where, name, _SUBDOMAIN, 63 if where == "--namespace" else 253)
        check_quantity("--shared-memory", self.shared_memory)
        if self.workdir is not None and not re.fullmatch(r"/[^\n\r\0]*", self.workdir):
            raise InputError(
                "not a folder of the container",
                where="--workdir",
                given=repr(self.workdir),
                allowed="a path that begins with /",
            )
        _check_size(self.recipe_text)

    @property
    def folder(self) -> str:
        """Folder in which ranks run."""
        return self.workdir or self.volumes[0].path


def metadata(name: str, kubernetes: KubernetesRequest, *, queue: bool) -> Manifest:
    """Return the metadata of an object.

    Args:
        name: Its name.
        kubernetes: Namespace and queue.
        queue: Whether it waits in the queue.

    Returns:
        Name, labels, and namespace where one was given.
    """
    labels = {"app.kubernetes.io/managed-by": "hunmin"}
    if queue and kubernetes.queue is not None:
        labels["kueue.x-k8s.io/queue-name"] = kubernetes.queue
    found: Manifest = {"name": name, "labels": labels}
    if kubernetes.namespace is not None:
        found["namespace"] = kubernetes.namespace
    return found


def recipe_config(request: LaunchRequest) -> str:
    """Return the name of the ConfigMap that holds the recipe."""
    return f"{request.name}-recipe"


def environment(request: LaunchRequest) -> list[Manifest]:
    """Return the variables of the container; the address of its pod is one of them."""
    variables: dict[str, str] = {}
    if request.cpus_per_node is not None:
        threads = request.cpus_per_node // request.processes_per_node
        variables["OMP_NUM_THREADS"] = str(max(1, threads))
    # Kubernetes expands $(NAME) in values; $$ keeps what the user wrote.
    variables |= {name: value.replace("$(", "$$(") for name, value in request.variables().items()}
    address = {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
    return [address, *({"name": name, "value": value} for name, value in variables.items())]


def resources(request: LaunchRequest) -> Mapping[str, Mapping[str, str]]:
    """Return what a pod asks for; processors are not limited, which would only slow it down."""
    limits, requests = {}, {}
    if request.gpus_per_node:
        limits["nvidia.com/gpu"] = requests["nvidia.com/gpu"] = str(request.gpus_per_node)
    if request.memory is not None:
        limits["memory"] = requests["memory"] = request.memory
    if request.cpus_per_node is not None:
        requests["cpu"] = str(request.cpus_per_node)
    return {name: found for name, found in (("limits", limits), ("requests", requests)) if found}


def volumes(request: LaunchRequest, kubernetes: KubernetesRequest) -> list[Manifest]:
    """Return the volumes of a pod: shared claims, the recipe, and memory that ranks share."""
    memory: Manifest = {"medium": "Memory"}
    if kubernetes.shared_memory is not None:
        memory["sizeLimit"] = kubernetes.shared_memory
    claims = [
        {"name": f"shared-{number}", "persistentVolumeClaim": {"claimName": volume.claim}}
        for number, volume in enumerate(kubernetes.volumes)
    ]
    config = {"name": "recipe", "configMap": {"name": recipe_config(request)}}
    return [*claims, config, {"name": "shared-memory", "emptyDir": memory}]


def volume_mounts(kubernetes: KubernetesRequest) -> list[Manifest]:
    """Return where the volumes of `volumes` are in the container."""
    claims = [
        {"name": f"shared-{number}", "mountPath": volume.path}
        for number, volume in enumerate(kubernetes.volumes)
    ]
    recipe = {"name": "recipe", "mountPath": RECIPE_FOLDER, "readOnly": True}
    return [*claims, recipe, {"name": "shared-memory", "mountPath": "/dev/shm"}]


def _check_name(where: str, name: str | None, pattern: re.Pattern[str], longest: int) -> None:
    if name is not None and (len(name) > longest or not pattern.fullmatch(name)):
        raise InputError(
            "Kubernetes takes no such name (RFC 1123)",
            where=where,
            given=name,
            allowed=f"lower-case letters, digits, - and ., at most {longest} characters",
        )


def check_quantity(where: str, text: str | None) -> None:
    """Compare an amount of memory with what Kubernetes reads.

    Args:
        where: The option it was given with.
        text: The amount; nothing is checked if None.

    Raises:
        InputError: Kubernetes would refuse it.
    """
    if text is not None and not _QUANTITY.fullmatch(text):
        raise InputError(
            "not an amount of memory", where=where, given=text, allowed="such as 500Gi or 64G"
        )


def _check_size(recipe: str) -> None:
    size = len(recipe.encode())
    if size > _MOST_RECIPE_BYTES:
        raise InputError(
            "the recipe is too large for a ConfigMap",
            where="recipe",
            given=f"{size} bytes",
            allowed=f"at most {_MOST_RECIPE_BYTES}",
            hint="move long lists of files into a folder, and name the folder",
        )
