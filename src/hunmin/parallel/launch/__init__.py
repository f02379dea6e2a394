"""Scripts and manifests that start a run on a cluster; what starts the ranks is torchrun."""

from hunmin.parallel.launch.kubernetes import kubernetes_manifests, manifests_yaml
from hunmin.parallel.launch.layouts import check_layouts
from hunmin.parallel.launch.pods import RECIPE_PATH, KubernetesRequest, Volume
from hunmin.parallel.launch.request import LaunchRequest, Nodes, TrainCommand
from hunmin.parallel.launch.slurm import SlurmRequest, slurm_script
from hunmin.parallel.launch.torchrun import local_command
from hunmin.parallel.launch.walltime import parse_walltime

__all__ = [
    "RECIPE_PATH",
    "KubernetesRequest",
    "LaunchRequest",
    "Nodes",
    "SlurmRequest",
    "TrainCommand",
    "Volume",
    "check_layouts",
    "kubernetes_manifests",
    "local_command",
    "manifests_yaml",
    "parse_walltime",
    "slurm_script",
]
