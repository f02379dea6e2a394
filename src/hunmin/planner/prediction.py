"""What one strategy comes to on a cluster: speed, utilisation, memory, bytes on the network."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property

from hunmin.core.errors import InputError
from hunmin.parallel.collectives.volume import StepVolume, step_volume
from hunmin.planner.cluster import Cluster
from hunmin.planner.memory import MemoryUse, memory_use
from hunmin.planner.shape import ModelShape
from hunmin.planner.software import Software
from hunmin.planner.speed.step import StepTime, step_time
from hunmin.planner.strategy import Strategy


@dataclass(frozen=True)
class Prediction:
    """One strategy on one cluster.

    Args:
        shape: The model.
        strategy: Layout, microbatches, recomputation.
        cluster: Devices and links.
        software: Constants of the program.
        step: Where the seconds of an optimizer step go.
        memory: Bytes of a rank at the peak of a step.

    Note:
        Model FLOPs are what forward and backward of the tokens need; hardware FLOPs add what is
        computed again. With recomputed blocks the second is up to 4/3 of the first: never compare
        one with the other. Many published "TFLOPS" are hardware FLOPs.
    """

    shape: ModelShape
    strategy: Strategy
    cluster: Cluster
    software: Software
    step: StepTime
    memory: MemoryUse

    @property
    def tokens_per_step(self) -> int:
        """Tokens of an optimizer step over all devices: the global batch."""
        return self.strategy.rows_per_step * self.shape.context

    @property
    def tokens_per_second(self) -> float:
        """Tokens a second of the whole cluster."""
        return self.tokens_per_step / self.step.seconds

    @property
    def tokens_per_second_per_device(self) -> float:
        """Tokens a second of one device."""
        return self.tokens_per_second / self.strategy.devices

    @property
    def seconds_per_token(self) -> float:
        """Seconds of the whole cluster for a token: compares steps of different batches."""
        return self.step.seconds / self.tokens_per_step

    @property
    def model_flops(self) -> float:
        """Operations a second and device that the model needs."""
        return self.tokens_per_second_per_device * self.shape.train_flops

    @property
    def hardware_flops(self) -> float:
        """Operations a second and device that are done, with what is computed again."""
        return self.tokens_per_second_per_device * _operations_done(self.shape, self.strategy)

    @property
    def peak_flops(self) -> float:
        """Operations a second that the device's maker states for the precision."""
        return self.cluster.device.peak[self.strategy.precision]

    @property
    def mfu(self) -> float:
        """Model FLOPs utilisation: model FLOPs over the peak, 0 to 1."""
        return self.model_flops / self.peak_flops

    @property
    def hfu(self) -> float:
        """Hardware FLOPs utilisation: hardware FLOPs over the peak, 0 to 1."""
        return self.hardware_flops / self.peak_flops

    @cached_property
    def volume(self) -> StepVolume:
        """Bytes on a node's link in a step, per direction, by what they are for."""
        return _volume(self.shape, self.strategy, self.software)

    @property
    def node_link_bytes(self) -> float:
        """Bytes on a node's link in a step, per direction."""
        return self.volume.total

    @property
    def fits(self) -> bool:
        """Whether the memory of a device is enough, with its fragmentation allowance."""
        return self.memory.fits(self.cluster.device.memory)

    def as_dict(self) -> dict[str, object]:
        """Return plain values for JSON: bytes, seconds, operations a second."""
        return {
            "model": self.shape.name,
            "parameters": self.shape.parameters,
            "context": self.shape.context,
            "cluster": self.cluster.name,
            "nodes": self.cluster.nodes,
            "devices": self.cluster.devices,
            "software": self.software.name,
            "strategy": asdict(self.strategy),
            "step": _step_as_dict(self.step),
            "memory": {**self.memory.as_dict(), "device": self.cluster.device.memory},
            "fits": self.fits,
            "tokens_per_step": self.tokens_per_step,
            "tokens_per_second": self.tokens_per_second,
            "tokens_per_second_per_device": self.tokens_per_second_per_device,
            "model_flops": self.model_flops,
            "hardware_flops": self.hardware_flops,
            "peak_flops": self.peak_flops,
            "mfu": self.mfu,
            "hfu": self.hfu,
            "node_link_bytes": {**asdict(self.volume), "total": self.node_link_bytes},
        }


def predict(
    shape: ModelShape, strategy: Strategy, cluster: Cluster, software: Software
) -> Prediction:
    """Predict speed and memory of one strategy.

    Args:
        shape: The model.
        strategy: Layout, microbatches, recomputation; need not fit the memory.
        cluster: Devices and links.
        software: Constants of the program.

    Returns:
        The prediction.

    Raises:
        InputError: The strategy is for another number of devices, or the device has no such
            precision.
    """
    _check_devices(strategy, cluster)
    _check_precision(strategy, cluster)
    return Prediction(
        shape,
        strategy,
        cluster,
        software,
        step_time(shape, strategy, cluster, software),
        memory_use(shape, strategy, software.habits),
    )


def _check_devices(strategy: Strategy, cluster: Cluster) -> None:
    layout = strategy.layout
    if (strategy.devices, layout.ranks_per_node) != (cluster.devices, cluster.devices_per_node):
        raise InputError(
            "the strategy is made for another cluster",
            where=cluster.name,
            given=f"{strategy.devices} ranks, {layout.ranks_per_node} a node",
            allowed=f"{cluster.devices} ranks, {cluster.devices_per_node} a node",
            hint="derive the layout from the cluster's devices",
        )


def _check_precision(strategy: Strategy, cluster: Cluster) -> None:
    if strategy.precision not in cluster.device.peak:
        raise InputError(
            "the device has no matrix products in this precision",
            where=cluster.device.name,
            given=strategy.precision,
            allowed=", ".join(cluster.device.peak),
        )


def _operations_done(shape: ModelShape, strategy: Strategy) -> float:
    """Return the operations for one token, with what the backward pass computes again."""
    if strategy.recompute == "attention":
        return shape.train_flops + shape.layers * shape.attention_flops
    return shape.hardware_flops(recomputes=strategy.recompute == "blocks")


def _volume(shape: ModelShape, strategy: Strategy, software: Software) -> StepVolume:
    blocks = -(-shape.layers // strategy.pipeline)
    parameters = blocks * shape.block_parameters + shape.outside_parameters
    return step_volume(
        strategy.layout,
        parameters * strategy.precision_bytes,
        parameters * strategy.reduce_bytes,
        microsteps=strategy.microsteps,
        gathers_per_microstep=2 if strategy.reshard_after_forward else 1,
        gathered_once_bytes=shape.outside_parameters * strategy.precision_bytes,
        backend=software.backend,
    )


def _step_as_dict(step: StepTime) -> dict[str, object]:
    return {
        "seconds": step.seconds,
        "computing": dict(step.computing),
        "exposed": dict(step.exposed),
        "optimizer": step.optimizer,
        "bubble": step.bubble,
        "sending": dict(step.sending),
    }
