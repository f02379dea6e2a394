"""The device mesh of a layout."""

from __future__ import annotations

from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from hunmin.parallel.layout import Layout

REPLICATE, SHARD, TENSOR = "replicate", "shard", "tensor"


def build_mesh(layout: Layout, device_type: str) -> DeviceMesh:
    """Build the mesh of all ranks.

    Args:
        layout: Which rank holds what.
        device_type: cpu or cuda.

    Returns:
        Dimensions (replicate, shard), and tensor if matrices are split; the last one varies
        fastest, so that the ranks of a partition group are neighbours.

    Note:
        Collective: every rank must call it.
    """
    sizes = {REPLICATE: layout.replicas, SHARD: layout.partition_group}
    if layout.tensor > 1:
        sizes[TENSOR] = layout.tensor
    return init_device_mesh(device_type, tuple(sizes.values()), mesh_dim_names=tuple(sizes))


def data_mesh(mesh: DeviceMesh) -> DeviceMesh:
    """Return the (replicate, shard) part: the ranks that see different rows of a batch."""
    return mesh if mesh.ndim == 2 else mesh[REPLICATE, SHARD]
