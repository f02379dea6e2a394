"""`hunmin plan --list`: what the planner knows by name, and how to add to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click

_YOUR_OWN = """\
A cluster of your own is a file; what it does not say is taken from the one that it is like:

  # my-cluster.yaml                     hunmin plan 13B --cluster my-cluster.yaml:16
  like: dgx-a100
  title: our machines
  device: a100-40gb
  between: {bandwidth: 200 Gbps}        # of a node, to the others
  storage_bandwidth: 2 GB/s             # what a node writes to shared storage

So is a model; or name a folder with the config.json of a Hugging Face model:

  # my-model.yaml                       hunmin plan my-model.yaml --cluster p4d:4
  like: gpt3-175b
  layers: 48
"""


def list_catalogue(*, as_json: bool) -> None:
    """Print clusters, models and software, and what a file of one's own looks like."""
    if as_json:
        click.echo(json.dumps(_as_dict(), indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(_lines()).rstrip("\n"))


def _lines() -> Iterator[str]:
    found = _as_dict()
    yield "Clusters (NAME:NODES, or NAME:NODES@BANDWIDTH between nodes)"
    for cluster in found["clusters"]:
        yield f"  {cluster['name']:<16} {cluster['title']}"
    yield ""
    yield "Devices (--budget HOURS --device NAME)"
    yield f"  {', '.join(device['name'] for device in found['devices'])}"
    yield ""
    yield "Models (or a size of the hunmin family, such as 1.3B)"
    for model in found["models"]:
        shape = f"{model['layers']} blocks of width {model['width']:,}"
        rows = f"rows of {model['context']:,} tokens"
        yield f"  {model['name']:<20} {model['size']:>6}  {shape}, {rows}"
    yield ""
    yield "Software (--software)"
    for software in found["software"]:
        yield f"  {software['name']:<16} {software['title']}"
    yield ""
    yield _YOUR_OWN


def _as_dict() -> dict[str, list[dict[str, Any]]]:
    from hunmin.planner.catalogue.clusters import cluster_names, device_names, find_device
    from hunmin.planner.catalogue.models import model_names
    from hunmin.planner.catalogue.software import find_software, software_names

    return {
        "clusters": [_cluster(name) for name in cluster_names()],
        "devices": [{"name": name, "title": find_device(name).name} for name in device_names()],
        "models": [_model(name) for name in model_names()],
        "software": [
            {"name": name, "title": find_software(name).title} for name in software_names()
        ],
    }


def _cluster(name: str) -> dict[str, Any]:
    from hunmin.planner.catalogue.clusters import find_cluster

    cluster = find_cluster(name)
    return {
        "name": name,
        "title": cluster.title,
        "devices_per_node": cluster.devices_per_node,
        "device": cluster.device.name,
        "device_memory": cluster.device.memory,
        "between_bandwidth": cluster.between.bandwidth,
        "power": cluster.device.power,
    }


def _model(name: str) -> dict[str, Any]:
    from hunmin.core.units import format_count
    from hunmin.planner.catalogue.models import find_model

    shape = find_model(name)
    return {
        "name": name,
        "parameters": shape.parameters,
        "size": format_count(shape.parameters),
        "layers": shape.layers,
        "width": shape.width,
        "context": shape.context,
        "vocab_size": shape.vocab_size,
    }
