"""From a trained NLU model to files for ONNX Runtime, whole or not at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from hunmin.adapt.nlu.body import MODEL_KIND
from hunmin.adapt.nlu.config import HEADS_FILE
from hunmin.adapt.nlu.decode import CRF_TENSORS, Transitions
from hunmin.adapt.nlu.encode import EncodedUtterance
from hunmin.adapt.nlu.model import NluModel, load_nlu_model
from hunmin.core.artifact import Artifact, check_output, load_artifact, write_artifact
from hunmin.core.atomic import explain_disk_full
from hunmin.core.extras import require
from hunmin.serving.export.gate import (
    Gate,
    Outcome,
    TorchNetwork,
    check_drop,
    check_float32,
    compare,
    describe,
    median_milliseconds,
)
from hunmin.serving.export.graph import write_graph
from hunmin.serving.export.quantize import quantize
from hunmin.serving.export.report import ExportReport, NetworkFacts
from hunmin.serving.export.spec import ExportSpec
from hunmin.serving.export.utterances import read_utterances
from hunmin.serving.nlu.engine import BATCH_SIZE, FILES, ONNX_KIND
from hunmin.serving.nlu.folder import refuse_text_model
from hunmin.serving.nlu.network import Network, OnnxNetwork
from hunmin.tokenizer.load import copy_tokenizer


def export_onnx(
    spec: ExportSpec, model: Path, output: Path, *, data: Sequence[Path] = ()
) -> Artifact:
    """Export a trained NLU model and compare what its networks answer.

    Args:
        spec: What int8 may cost, and on which utterances that is measured.
        model: Artifact of kind nlu-model.
        output: Folder of the new artifact.
        data: Folders of LOCALE.jsonl files, used unless `spec` names some.

    Returns:
        The artifact, of kind nlu-onnx: model.onnx, model.int8.onnx, nlu.json, the tokenizer,
        report.json and report.md.

    Raises:
        AccuracyLossError: int8 loses too much, or the graph is wrong; nothing was written, and
            what lay at `output` is still there.
        InputError: The architecture cannot be exported, or the data cannot be read.
        ArtifactKindError: `model` is no trained NLU model, or something else is at `output`.
        MissingExtraError: onnx, onnxruntime or onnxscript are not installed.
        DiskFullError: No space is left.
    """
    for package in ("onnx", "onnxruntime", "onnxscript"):
        require(package, extra="export")
    refuse_text_model(model, "is not exported to ONNX")
    trained = load_artifact(model, MODEL_KIND)
    check_output(output, ONNX_KIND, [trained])
    utterances = read_utterances(spec, data)
    gate = Gate(load_nlu_model(model, verify=False), utterances)
    recipe = {"export": spec.model_dump(mode="json", exclude={"data"})}
    with (
        write_artifact(output, ONNX_KIND, recipe=recipe, inputs=[trained]) as draft,
        explain_disk_full(draft.path),
    ):
        _copy_files(gate.model, model, draft.path)
        report = _write_networks(spec, gate, model, draft.path)
        report.write(draft.path)
        draft.facts.update(_facts(report))
        if not spec.keep_float32:
            (draft.path / FILES["float32"]).unlink()
    return load_artifact(output, ONNX_KIND, verify=False)


def _copy_files(model: NluModel, source: Path, folder: Path) -> None:
    """Write what the runtime reads besides the networks."""
    model.config.write(folder)
    copy_tokenizer(source, folder)
    if model.transitions is not None:
        _write_transitions(model.transitions, folder / HEADS_FILE)


def _write_transitions(transitions: Transitions, file: Path) -> None:
    """Write the tensors of the heads that lie outside of the graph."""
    from safetensors.numpy import save_file

    values = (transitions.transitions, transitions.start, transitions.end)
    save_file(dict(zip(CRF_TENSORS, values, strict=True)), file)


def _write_networks(spec: ExportSpec, gate: Gate, source: Path, folder: Path) -> ExportReport:
    """Write both networks, each only relied upon after it was compared."""
    encoded = gate.encode()
    trained = TorchNetwork(gate.model.network)
    reference = gate.ask(trained, encoded, batch_size=BATCH_SIZE)
    plain, small = folder / FILES["float32"], folder / FILES["int8"]
    write_graph(gate.model.network, plain, max_tokens=gate.model.config.max_tokens)
    exported = OnnxNetwork(plain)
    same = gate.ask(exported, encoded, batch_size=BATCH_SIZE)
    check_float32(same, reference)
    quantize(plain, small, reduce_range=spec.reduce_range)
    quantized = OnnxNetwork(small)
    # Alone, as most requests come: in a batch int8 has one scale for all.
    alone = gate.ask(quantized, encoded, batch_size=1)
    comparison = compare(alone, reference, gate.utterances)
    check_drop(comparison, spec.max_drop)
    together = gate.ask(quantized, encoded, batch_size=BATCH_SIZE)
    facts = _Facts(gate, encoded, reference)
    return ExportReport(
        locales=dict(Counter(one.locale for one in gate.utterances)),
        partition=spec.partition,
        max_drop=spec.max_drop,
        **count_parts(gate.model.network),
        networks={
            "torch": facts.of(trained, reference, source / "model.safetensors"),
            "float32": facts.of(exported, same, plain),
            "int8": facts.of(quantized, alone, small),
        },
        int8=comparison,
        batched_other_parses=describe(together, alone).other_parses,
    )


class _Facts:
    """Size, speed and answers of networks.

    Args:
        gate: Decodes and scores.
        encoded: Its utterances.
        reference: What the trained model answers.
    """

    def __init__(self, gate: Gate, encoded: Sequence[EncodedUtterance], reference: Outcome) -> None:
        self._pad_id = gate.model.config.pad_id
        self._encoded = encoded
        self._reference = reference

    def of(self, network: Network, outcome: Outcome, file: Path) -> NetworkFacts:
        """Return what is told of a network."""
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            milliseconds = median_milliseconds(network, self._encoded, self._pad_id)
        finally:
            torch.set_num_threads(threads)
        return NetworkFacts(
            file_bytes=file.stat().st_size,
            milliseconds=milliseconds,
            answers=describe(outcome, self._reference),
        )


def count_parts(network: nn.Module) -> dict[str, int]:
    """Count parameters, those of embeddings apart: they fill the file, but take no time.

    Args:
        network: A joint model; its body is named `body`.

    Returns:
        body_parameters, embedding_parameters and head_parameters.
    """
    body = network.get_submodule("body")
    tables = [module for module in body.modules() if isinstance(module, nn.Embedding)]
    shared = {parameter for table in tables for parameter in table.parameters()}
    embeddings = sum(parameter.numel() for parameter in shared)
    inside = sum(parameter.numel() for parameter in body.parameters())
    everything = sum(parameter.numel() for parameter in network.parameters())
    return {
        "body_parameters": inside - embeddings,
        "embedding_parameters": embeddings,
        "head_parameters": everything - inside,
    }


def _facts(report: ExportReport) -> dict[str, float | int]:
    small = report.networks["int8"]
    return {
        "int8_bytes": small.file_bytes,
        "int8_exact_match": small.answers.exact_match.value,
        "int8_drop_points": report.int8.drop_points.value,
        "utterances": report.int8.utterances,
    }
