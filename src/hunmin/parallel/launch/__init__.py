"""Scripts and manifests that start a run on a cluster; what starts the ranks is torchrun."""

from hunmin.parallel.launch.kubernetes import KubernetesRequest, kubernetes_manifests
from hunmin.parallel.launch.request import LaunchRequest, Nodes, TrainCommand
from hunmin.parallel.launch.slurm import SlurmRequest, slurm_script
from hunmin.parallel.launch.torchrun import local_command

__all__ = [
    "KubernetesRequest",
    "LaunchRequest",
    "Nodes",
    "SlurmRequest",
    "TrainCommand",
    "kubernetes_manifests",
    "local_command",
    "slurm_script",
]
