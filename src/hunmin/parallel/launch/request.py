"""What a user asks of a cluster, checked; the same for every kind of cluster."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hunmin.core.errors import InputError

# What torchrun tells its workers, and what its launcher reads: another value would mislead them.
_TORCHRUN_NAMES = re.compile(
    r"PET_\w+|TORCHELASTIC_\w+|(LOCAL_|GROUP_|ROLE_)?(RANK|WORLD_SIZE)|MASTER_(ADDR|PORT)"
)
# Settings of the rendezvous for `torchrun --rdzv-conf`, with their values unless asked otherwise.
RENDEZVOUS = {
    "keep_alive_interval": 5,
    "keep_alive_max_attempt": 3,
    "last_call_timeout": 30,
    "join_timeout": 1800,
}
# Seconds before the end at which a launcher gives up on its ranks, so that it can still say so.
_LAST_SECONDS = 15


@dataclass(frozen=True)
class Nodes:
    """How many nodes a run takes; it is elastic if it can do with fewer than the most.

    Args:
        fewest: Nodes it needs to train.
        most: Nodes it uses when they are there.

    Raises:
        InputError: Fewer than one node, or more than the most.
    """

    fewest: int
    most: int

    def __post_init__(self) -> None:
        if not 1 <= self.fewest <= self.most:
            raise InputError(
                "the fewest nodes are at least one and not more than the most",
                where="--nodes",
                given=f"{self.fewest}:{self.most}",
                allowed="a number such as 4, or FEWEST:MOST such as 2:4",
            )

    @classmethod
    def parse(cls, text: str) -> Nodes:
        """Return the nodes that `4` or `2:4` stands for.

        Args:
            text: A number, or two with a colon between them.

        Returns:
            The nodes.

        Raises:
            InputError: It is neither.
        """
        match = re.fullmatch(r"(\d+)(?::(\d+))?", text.strip(), re.ASCII)
        if match is None:
            raise InputError(
                "not a number of nodes",
                where="--nodes",
                given=text,
                allowed="a number such as 4, or FEWEST:MOST such as 2:4",
            )
        return cls(int(match[1]), int(match[2] or match[1]))

    @property
    def elastic(self) -> bool:
        """Whether the run goes on with fewer nodes, and takes in those that come back."""
        return self.fewest < self.most

    def __str__(self) -> str:
        return f"{self.fewest}:{self.most}" if self.elastic else str(self.most)


@dataclass(frozen=True)
class TrainCommand:
    """The command that every rank runs.

    Args:
        recipe: Path of the recipe where the ranks run.
        overrides: Items `key.path=value`.
        run_dir: Run folder, on a file system that all nodes share.

    Raises:
        InputError: A word that does not stay on one line.
    """

    recipe: str
    overrides: tuple[str, ...]
    run_dir: str

    def __post_init__(self) -> None:
        for word in (self.recipe, self.run_dir, *self.overrides):
            if re.search(r"[\n\r\0]", word):
                raise InputError("a command line has one line", given=repr(word))

    def words(self) -> list[str]:
        """Return what follows torchrun's own options."""
        return ["-m", "hunmin", "train", self.recipe, *self.overrides, "--run-dir", self.run_dir]

    @property
    def logs(self) -> str:
        """Folder of what nodes and ranks print."""
        return f"{self.run_dir.rstrip('/')}/logs"


@dataclass(frozen=True)
class LaunchRequest:
    """A run on a cluster of any kind.

    Args:
        name: Name of the job.
        command: What every rank runs.
        nodes: How many nodes.
        gpus_per_node: GPUs of a node; 0 for a cluster without any.
        processes_per_node: Ranks of a node.
        cpus_per_node: Processor cores asked for on each node; the whole node if None.
        memory: Host memory asked for on each node, as the cluster writes it.
        seconds: Time limit; the cluster's own if None.
        grace: Seconds from the signal that time is up until all processes are killed.
        max_restarts: How often ranks are started anew after one failed.
        interface: Network interface of the traffic between nodes; found by the libraries if None.
        environment: Variables that every rank gets.
        rendezvous: Settings of the rendezvous that differ from `RENDEZVOUS`.

    Raises:
        InputError: Values that contradict one another, or that no cluster takes.
    """

    name: str
    command: TrainCommand
    nodes: Nodes
    gpus_per_node: int
    processes_per_node: int
    cpus_per_node: int | None = None
    memory: str | None = None
    seconds: int | None = None
    grace: int = 300
    max_restarts: int = 3
    interface: str | None = None
    environment: tuple[tuple[str, str], ...] = ()
    rendezvous: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        check_processes(self.gpus_per_node, self.processes_per_node)
        _check_times(self)
        _check_environment(self.environment)
        _check_rendezvous(self.rendezvous)

    @property
    def shutdown_seconds(self) -> int:
        """How long a launcher lets its ranks save after a signal."""
        return self.grace - _LAST_SECONDS

    @property
    def ranks(self) -> str:
        """The ranks in words, such as `4 nodes of 8 ranks`."""
        plural = "" if self.nodes.most == 1 else "s"
        count = str(self.nodes).replace(":", " to ")
        return f"{count} node{plural} of {self.processes_per_node} ranks"

    def variables(self) -> dict[str, str]:
        """Return the environment of launchers and ranks; the user's variables win."""
        needed = {"TORCH_ELASTIC_SHUTDOWN_TIMEOUT": str(self.shutdown_seconds)}
        if self.nodes.most > 1:
            # Else a launcher that joins a later round waits for an address that is never published.
            needed["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
        if self.interface is not None:
            needed |= {"NCCL_SOCKET_IFNAME": self.interface, "GLOO_SOCKET_IFNAME": self.interface}
        return needed | dict(self.environment)


def check_processes(gpus_per_node: int, processes_per_node: int) -> None:
    """Compare the ranks of a node with its GPUs.

    Args:
        gpus_per_node: GPUs of a node.
        processes_per_node: Ranks of a node.

    Raises:
        InputError: No rank, or more ranks than GPUs.
    """
    if processes_per_node < 1:
        raise InputError(
            "a node without GPUs needs to be told how many ranks it runs",
            where="--processes-per-node",
            given=f"{processes_per_node} processes, {gpus_per_node} GPUs a node",
            hint="give --gpus-per-node 8, or --processes-per-node 2 to train on processors",
        )
    if 0 < gpus_per_node < processes_per_node:
        raise InputError(
            "there are more ranks on a node than GPUs",
            where="--processes-per-node",
            given=f"{processes_per_node} processes, {gpus_per_node} GPUs a node",
            allowed=f"at most {gpus_per_node}",
        )


def _check_times(request: LaunchRequest) -> None:
    if request.grace < 2 * _LAST_SECONDS:
        raise InputError(
            "too little time to save a checkpoint and end",
            where="--grace",
            given=f"{request.grace} seconds",
            allowed=f"{2 * _LAST_SECONDS} or more",
        )
    if request.seconds is not None and request.seconds <= request.grace:
        raise InputError(
            "the time to save and end is not shorter than the time limit",
            where="--grace",
            given=f"{request.grace} seconds of {request.seconds}",
            hint="raise --time or lower --grace",
        )


def _check_environment(environment: tuple[tuple[str, str], ...]) -> None:
    for name, value in environment:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) or re.search(r"[\n\r\0]", value):
            raise InputError(
                "not an environment variable",
                where="--env",
                given=f"{name}={value!r}",
                allowed="NAME=VALUE on one line; a name has letters, digits and _",
            )
        if _TORCHRUN_NAMES.fullmatch(name):
            raise InputError(
                "torchrun gives this variable to every rank itself",
                where="--env",
                given=name,
                hint="leave it out",
            )


def _check_rendezvous(settings: tuple[tuple[str, str], ...]) -> None:
    for name, value in settings:
        if name not in RENDEZVOUS or not re.fullmatch(r"[1-9][0-9]*", value):
            raise InputError(
                "not a setting of the rendezvous",
                where="--rdzv-conf",
                given=f"{name}={value}",
                allowed="a whole number for " + ", ".join(RENDEZVOUS),
            )
