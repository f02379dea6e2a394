"""From a float32 ONNX file to int8, of which no calibration is needed.

Matrices: int8 weights with one scale for each column; their inputs get one scale when they are
computed (dynamic). Embeddings: int8 with one scale for each row, as rows of rare tokens are small.
The last matrices, of intents and of tags, stay in float32: they are tiny, and what they compute is
compared at once. Norms, softmax and sums are float32 always.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hunmin.core.extras import require
from hunmin.serving.nlu.network import OUTPUTS

MIN_ROWS = 1024
"""Smaller tables (positions, types of tokens) are not worth a rounding error."""
LARGEST = 127


def quantize(source: Path, target: Path, *, reduce_range: bool = False) -> None:
    """Write a float32 network again with int8 weights.

    Args:
        source: The float32 file.
        target: The int8 file.
        reduce_range: Use 7 bits, see `ExportSpec`.

    Raises:
        MissingExtraError: onnx or onnxruntime are not installed.

    Source:
        Dynamic quantization of ONNX Runtime; the rows of embeddings are ours, which has one scale
        for a whole table.
    """
    onnx = require("onnx", extra="export")
    tools = require("onnxruntime.quantization", extra="export")
    model = onnx.load(source)
    # The exporter's notes on shapes contradict the rewriting of products to matrix products.
    del model.graph.value_info[:]
    _quantize_embeddings(onnx, model.graph)
    with _quietly():
        tools.quantize_dynamic(
            model,
            target,
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            reduce_range=reduce_range,
            weight_type=tools.QuantType.QInt8,
            nodes_to_exclude=_last_products(model.graph),
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
        )


def _last_products(graph: Any) -> list[str]:
    """Return the names of the nodes that multiply by the matrices of intents and of tags."""
    makers = {name: node for node in graph.node for name in node.output}
    found = []
    for output in OUTPUTS:
        node = makers[output]
        while node.op_type not in ("MatMul", "Gemm"):
            node = next(makers[name] for name in node.input if name in makers)
        # The tool makes a Gemm a MatMul of this name before it looks for names.
        found += [node.name, f"{node.name}_MatMul"]
    return found


def _quantize_embeddings(onnx: Any, graph: Any) -> None:
    """Replace each look-up in a large float table by one in an int8 table."""
    tables = {tensor.name: tensor for tensor in graph.initializer}
    for node in list(graph.node):
        table = tables.get(node.input[0]) if node.op_type == "Gather" else None
        if table is not None and _is_large(onnx, table):
            _replace_lookup(onnx, graph, node, table)
    used = {name for node in graph.node for name in node.input}
    for name in tables.keys() - used:
        graph.initializer.remove(tables[name])


def _is_large(onnx: Any, table: Any) -> bool:
    is_matrix = len(table.dims) == 2 and table.data_type == onnx.TensorProto.FLOAT
    return is_matrix and int(table.dims[0]) >= MIN_ROWS


def _replace_lookup(onnx: Any, graph: Any, node: Any, table: Any) -> None:
    """Ids ─┬─ Gather (int8 rows) ─ Cast ─┬─ Mul; the scales of the rows are looked up beside."""
    make, ids, name = onnx.helper.make_node, node.input[1], node.output[0]
    rows, scales = round_rows(onnx.numpy_helper.to_array(table))
    present = {tensor.name for tensor in graph.initializer}
    for suffix, values in (("rows", rows), ("scales", scales)):
        if f"{table.name}.{suffix}" not in present:
            tensor = onnx.numpy_helper.from_array(values, f"{table.name}.{suffix}")
            graph.initializer.append(tensor)
    nodes = [
        make("Gather", [f"{table.name}.rows", ids], [f"{name}.rows"]),
        make("Cast", [f"{name}.rows"], [f"{name}.cast"], to=onnx.TensorProto.FLOAT),
        make("Gather", [f"{table.name}.scales", ids], [f"{name}.scales"]),
        make("Mul", [f"{name}.cast", f"{name}.scales"], [name]),
    ]
    place = list(graph.node).index(node)
    graph.node.remove(node)
    for offset, made in enumerate(nodes):
        graph.node.insert(place + offset, made)


def round_rows(
    table_VD: npt.NDArray[np.float32],
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Round each row to int8.

    Args:
        table_VD: Embeddings.

    Returns:
        Numbers in [-127, 127], shape (V, D), and what they are multiplied by, shape (V, 1).
    """
    largest = np.abs(table_VD).max(1, keepdims=True)
    scales = (np.where(largest > 0, largest, LARGEST) / LARGEST).astype(np.float32)
    return np.rint(table_VD / scales).astype(np.int8), scales


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Hold back what the tool tells the root logger: advice, and which products stay as they are.

    A root logger without a handler would be given one by the first message, for good.
    """
    root, nowhere = logging.getLogger(), logging.NullHandler()

    def is_of_others(record: logging.LogRecord) -> bool:
        return record.name != root.name

    root.addHandler(nowhere)
    root.addFilter(is_of_others)
    try:
        yield
    finally:
        root.removeFilter(is_of_others)
        root.removeHandler(nowhere)
