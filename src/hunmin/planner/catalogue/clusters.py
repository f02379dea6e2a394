"""Clusters by name or from a file: `find_cluster("p4d:64@100Gbps")`."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from hunmin.core.errors import InputError
from hunmin.core.recipe import LoadedRecipe
from hunmin.core.spec import Spec
from hunmin.core.units import parse_bandwidth, parse_bytes, parse_flops, parse_seconds
from hunmin.planner.catalogue.entries import (
    FOLDER,
    Entry,
    Figures,
    completed,
    is_yaml_name,
    overlay,
    read_file,
    read_shipped,
    refuse_missing,
    unknown_name,
)
from hunmin.planner.cluster import Cluster, Device, Link

MOST_NODES = 100_000
Bytes = Annotated[int, BeforeValidator(parse_bytes), Field(gt=0)]
Bandwidth = Annotated[float, BeforeValidator(parse_bandwidth), Field(gt=0)]
Flops = Annotated[float, BeforeValidator(parse_flops), Field(gt=0)]
Seconds = Annotated[float, BeforeValidator(parse_seconds)]
Share = Annotated[float, Field(gt=0, le=1)]
_CLUSTER = re.compile(
    r"(?P<name>.*\.ya?ml|[^:@]*)(?::(?P<nodes>[^@]*))?(?:@(?P<bandwidth>.*))?", re.IGNORECASE
)
_DEVICE_KEYS = ("memory", "memory_bandwidth", "peak", "matmul_share", "kernel_seconds")
_LINK_KEYS = ("bandwidth", "latency", "share")


class PeakEntry(Spec):
    """Rates of dense matrix products; a precision without hardware of its own is left out."""

    bf16: Flops | None = None
    """bfloat16, summed up in 32 bits."""
    fp16: Flops | None = None
    """16-bit numbers of IEEE 754, summed up in 32 bits."""
    fp32: Flops | None = None
    """32-bit numbers without shorter products (no TF32)."""

    @model_validator(mode="after")
    def _check_some(self) -> Self:
        if not self.model_dump(exclude_none=True):
            raise ValueError("at least one rate is needed: bf16, fp16 or fp32.")
        return self


class DeviceEntry(Figures):
    """One accelerator, or the share of a CPU that one rank has."""

    memory: Bytes | None = None
    """What a program can allocate, such as 80 GB or 79.1 GiB."""
    memory_bandwidth: Bandwidth | None = None
    """What its memory can move, such as 2039 GB/s."""
    peak: PeakEntry | None = None
    """Operations a second of dense matrix products by precision."""
    power: float | None = Field(default=None, gt=0)
    """Watts at its limit."""
    matmul_share: Share | None = None
    """Share of the peak that large matrix products reach inside a training step."""
    kernel_seconds: Seconds | None = None
    """What starting a kernel costs where nothing hides it, such as 5 us."""


class LinkEntry(Figures):
    """What joins the devices of a node, or nodes."""

    bandwidth: Bandwidth | None = None
    """In one direction: of one device within a node, of a whole node between nodes."""
    latency: Seconds | None = None
    """What one hop of a ring costs besides its bytes, such as 25 us."""
    share: Share | None = None
    """Share of the bandwidth that large messages reach."""


class ClusterEntry(Figures):
    """Equal nodes; how many of them, the plan says."""

    aliases: tuple[str, ...] = ()
    """Other names."""
    devices_per_node: int | None = Field(default=None, ge=1, le=4096)
    """Ranks of a node."""
    device: DeviceEntry | None = None
    """What computes: a name of devices.yaml, or a block that may be like one."""
    within: LinkEntry | None = None
    """Link of a device inside a node: a name of links.yaml, or a block."""
    between: LinkEntry | None = None
    """Link of a node to the others: a block with the bandwidth of the node."""
    host_memory: Bytes | None = None
    """Memory of a node beside that of its devices; null where it is not known."""
    storage_bandwidth: Bandwidth | None = None
    """What a node writes to shared storage; null where it is not known."""


class _Devices(Spec):
    devices: dict[str, DeviceEntry]
    """Devices by name."""


class _Links(Spec):
    links: dict[str, LinkEntry]
    """Links by kind."""


def find_cluster(text: str, *, where: str = "cluster") -> Cluster:
    """Return a cluster of the catalogue, or of a file.

    Args:
        text: `NAME[:NODES][@BANDWIDTH]`. `p4d` is one node, `p4d:64` are 64, `dgx-2:24@100Gbps` has
            another bandwidth between nodes, and `my.yaml:16` is a file (see `ClusterEntry`; it
            may say `like: p4d` and write only what differs).
        where: What the text was given for, for messages.

    Returns:
        The cluster with the source of each figure.

    Raises:
        InputError: No such name, no number of nodes, no bandwidth.
        MissingInputError: No such file.
        RecipeError: The file does not say what it must.
    """
    name, nodes, bandwidth = _split(text, where)
    count = 1 if nodes is None else _parse_nodes(nodes, text, where)
    if is_yaml_name(name):
        cluster = _read_cluster(Path(name))
    else:
        cluster = _shipped_cluster(_shipped_name(name, where))
    if bandwidth is not None:
        cluster = _with_bandwidth(cluster, bandwidth, where)
    return cluster.with_nodes(count)


@functools.cache
def cluster_names() -> tuple[str, ...]:
    """Return the names of the catalogue's clusters, sorted; they may have aliases besides."""
    return tuple(sorted(path.stem for path in (FOLDER / "clusters").glob("*.yaml")))


def find_device(name: str, *, where: str = "device") -> Device:
    """Return a device of the catalogue.

    Args:
        name: Such as `a100-40gb`.
        where: What the name was given for, for messages.

    Returns:
        The device.

    Raises:
        InputError: No such name.
    """
    devices = _devices()
    if name.lower() not in devices:
        raise unknown_name(name, devices, "device", where=where)
    entry = completed(devices[name.lower()], devices, "device")
    values = {key: getattr(entry, key) for key in _DEVICE_KEYS}
    refuse_missing(values, FOLDER / "devices.yaml", "")
    values["peak"] = values["peak"].model_dump(exclude_none=True)
    return Device(name=entry.title or name, power=entry.power, **values)


def device_names() -> tuple[str, ...]:
    """Return the names of the catalogue's devices."""
    return tuple(_devices())


def _split(text: str, where: str) -> tuple[str, str | None, str | None]:
    """Return name, nodes and bandwidth; an @ or a colon in a path is not taken for ours."""
    match = _CLUSTER.fullmatch(text.strip())
    if match is None or not match["name"]:
        raise InputError(
            "a cluster needs a name",
            where=where,
            given=repr(text),
            allowed="NAME, NAME:NODES or NAME:NODES@BANDWIDTH, such as p4d:64@100Gbps",
        )
    return match["name"], match["nodes"], match["bandwidth"]


def _parse_nodes(nodes: str, text: str, where: str) -> int:
    if nodes.isascii() and nodes.isdigit() and 1 <= int(nodes) <= MOST_NODES:
        return int(nodes)
    raise InputError(
        f"'{nodes}' is no number of nodes",
        where=where,
        given=repr(text),
        allowed=f"1 to {MOST_NODES:,} nodes after the colon, such as p4d:64",
    )


def _with_bandwidth(cluster: Cluster, text: str, where: str) -> Cluster:
    bandwidth = parse_bandwidth(text, where=f"{where}, after the @")
    if bandwidth <= 0:
        raise InputError(
            "nodes without bandwidth cannot train together",
            where=where,
            given=repr(text),
            allowed="more than 0, such as 100Gbps",
        )
    return replace(
        cluster,
        between=replace(cluster.between, bandwidth=bandwidth),
        sources={**cluster.sources, "between.bandwidth": f"given as {text.strip()}"},
    )


def _shipped_name(name: str, where: str) -> str:
    """Return the name of the file that a name or an alias, in any case, stands for."""
    names, lowered = {name: name for name in cluster_names()} | _aliases(), name.lower()
    if lowered not in names:
        also = "; or a file such as my-cluster.yaml"
        raise unknown_name(
            name, cluster_names(), "cluster", where=where, others=_aliases(), also=also
        )
    return names[lowered]


@functools.cache
def _aliases() -> dict[str, str]:
    return {
        alias: name
        for name in cluster_names()
        for alias in read_shipped(f"clusters/{name}.yaml", ClusterEntry).aliases
    }


@functools.cache
def _shipped_cluster(name: str) -> Cluster:
    return _build(_shipped_entry(name), name, FOLDER / "clusters" / f"{name}.yaml")


@functools.cache
def _shipped_entry(name: str) -> ClusterEntry:
    entry = read_shipped(f"clusters/{name}.yaml", ClusterEntry)
    whole = _with_libraries(entry)
    return whole if entry.like is None else overlay(_shipped_entry(entry.like), whole)


def _read_cluster(path: Path) -> Cluster:
    loaded = read_file(path, ClusterEntry, "cluster")
    _refuse_unknown_likes(loaded)
    entry = _with_libraries(loaded.spec.with_sources(loaded))
    if entry.like is not None:
        entry = overlay(_shipped_entry(_shipped_name(entry.like, str(path))), entry)
    return _build(entry.model_copy(update={"title": loaded.spec.title}), path.stem, path)


def _refuse_unknown_likes(loaded: LoadedRecipe[ClusterEntry]) -> None:
    """Say in which line a name is wrong; names of clusters may be aliases."""
    clusters = [*cluster_names(), *_aliases()]
    blocks: dict[str, tuple[Entry | None, list[str]]] = {
        "device": (loaded.spec.device, list(_devices())),
        "within": (loaded.spec.within, list(_links())),
        "between": (loaded.spec.between, list(_links())),
    }
    named = {("like",): (loaded.spec.like, clusters, "cluster")} | {
        (key, "like"): (entry.like, names, "device" if key == "device" else "link")
        for key, (entry, names) in blocks.items()
        if entry is not None
    }
    for path, (name, names, what) in named.items():
        if name is not None and name.lower() not in names:
            place = loaded.origins.get(path) or loaded.origin(path[:1])
            raise unknown_name(name, names, what, where=f"{place}: {'.'.join(path)}")


def _with_libraries(entry: ClusterEntry) -> ClusterEntry:
    """Fill in the device and the links that the blocks are like."""
    update: dict[str, Figures] = {}
    if entry.device is not None:
        update["device"] = completed(entry.device, _devices(), "device")
    for key, link in (("within", entry.within), ("between", entry.between)):
        if link is not None:
            update[key] = completed(link, _links(), "link")
    return entry.model_copy(update=update)


@functools.cache
def _devices() -> Mapping[str, DeviceEntry]:
    return read_shipped("devices.yaml", _Devices).devices


@functools.cache
def _links() -> Mapping[str, LinkEntry]:
    return read_shipped("links.yaml", _Links).links


def _build(entry: ClusterEntry, name: str, path: Path) -> Cluster:
    values = _needed(entry)
    refuse_missing(values, path, "or take the rest of a cluster with a line such as `like: p4d`")
    device: dict[str, Any] = {key: values[f"device.{key}"] for key in _DEVICE_KEYS}
    device["peak"] = device["peak"].model_dump(exclude_none=True)
    within, between = (
        Link(**{key: values[f"{block}.{key}"] for key in _LINK_KEYS})
        for block in ("within", "between")
    )
    return Cluster(
        name=name,
        title=entry.title or name,
        device=Device(name=_device_title(entry, name), power=_power(entry), **device),
        devices_per_node=values["devices_per_node"],
        nodes=1,
        within=within,
        between=between,
        host_memory=entry.host_memory,
        storage_bandwidth=entry.storage_bandwidth,
        sources=_flat_sources(entry),
    )


def _needed(entry: ClusterEntry) -> dict[str, Any]:
    """Return what a cluster cannot do without, by key path; None where it is not known."""
    blocks = {"device": _DEVICE_KEYS, "within": _LINK_KEYS, "between": _LINK_KEYS}
    return {"devices_per_node": entry.devices_per_node} | {
        f"{block}.{key}": getattr(getattr(entry, block), key, None)
        for block, keys in blocks.items()
        for key in keys
    }


def _device_title(entry: ClusterEntry, name: str) -> str:
    return (entry.device.title if entry.device else None) or f"device of {name}"


def _power(entry: ClusterEntry) -> float | None:
    return entry.device.power if entry.device else None


def _flat_sources(entry: ClusterEntry) -> dict[str, str]:
    """Return the sources of what is known by key path, such as "between.latency"."""
    blocks: dict[str, Figures | None] = {
        "": entry,
        "device.": entry.device,
        "within.": entry.within,
        "between.": entry.between,
    }
    return {
        f"{path}{key}": source
        for path, block in blocks.items()
        if block is not None
        for key, source in block.sources.items()
        if getattr(block, key) is not None
    }
