"""An export answers as the model does, or is not written."""

from __future__ import annotations

import json
import shutil
from dataclasses import astuple
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from click.testing import CliRunner
from tests.support.tiny_nlu import VOCAB_SIZE, save_own_answers, save_tiny_nlu, tiny_config
from tests.unit.serving.conftest import Exported

from hunmin.adapt.nlu.decode import read_transitions
from hunmin.adapt.nlu.model import load_nlu_model
from hunmin.cli.export import command
from hunmin.core.artifact import load_artifact, write_artifact
from hunmin.core.errors import ArtifactKindError, InputError
from hunmin.serving.errors import AccuracyLossError
from hunmin.serving.export import export
from hunmin.serving.export.export import export_onnx
from hunmin.serving.export.gate import TorchNetwork
from hunmin.serving.export.quantize import round_rows
from hunmin.serving.export.report import ExportReport
from hunmin.serving.export.spec import ExportSpec
from hunmin.serving.export.utterances import evenly, read_utterances
from hunmin.serving.nlu.network import OnnxNetwork


def some_batch(rows: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows that end with more and more padding, longer than the body's local attention."""
    ids = np.random.default_rng(0).integers(2, VOCAB_SIZE, (rows, length))
    mask = (np.arange(length) < length - 2 * np.arange(rows)[:, None]).astype(np.int64)
    return np.where(mask, ids, 1), mask


@pytest.fixture
def traced_before(exported: Exported, monkeypatch: pytest.MonkeyPatch) -> None:
    """The graph of the same network from before stands for tracing it again, which is slow."""

    def copy_graph(network: torch.nn.Module, file: Path, *, max_tokens: int) -> None:
        shutil.copyfile(exported.folder / "model.onnx", file)

    monkeypatch.setattr(export, "write_graph", copy_graph)


def test_an_export_has_all_that_is_needed_and_its_lineage(exported: Exported) -> None:
    artifact = load_artifact(exported.folder, "nlu-onnx")
    assert {"model.onnx", "model.int8.onnx", "nlu.json", "tokenizer.json", "report.json"} <= set(
        artifact.manifest.files
    )
    [source] = artifact.manifest.inputs
    assert source.digest == load_artifact(exported.model).digest


def test_the_float32_graph_computes_what_torch_does_at_every_batch_and_length(
    exported: Exported,
) -> None:
    model = load_nlu_model(exported.model)
    ours, theirs = TorchNetwork(model.network), OnnxNetwork(exported.folder / "model.onnx")
    for rows, length in [(1, 1), (1, 64), (3, 9), (5, 30)]:
        ids, mask = some_batch(rows, length)
        for mine, other in zip(ours(ids, mask), theirs(ids, mask), strict=True):
            is_token = mask.astype(bool) if mine.ndim == 3 else slice(None)
            np.testing.assert_allclose(mine[is_token], other[is_token], atol=1e-4)


def test_int8_rounds_matrices_and_large_tables_and_nothing_else(exported: Exported) -> None:
    graph = onnx.load(exported.folder / "model.int8.onnx").graph
    types = {tensor.name: (tensor.data_type, list(tensor.dims)) for tensor in graph.initializer}
    floats = [dims for kind, dims in types.values() if kind == onnx.TensorProto.FLOAT]
    int8 = [dims for kind, dims in types.values() if kind == onnx.TensorProto.INT8]
    assert [VOCAB_SIZE, 32] in int8
    assert [VOCAB_SIZE, 1] in floats
    # The last matrices, of four intents and five tags.
    assert sorted(dims for dims in floats if len(dims) == 2 and 32 in dims) == [[32, 4], [32, 5]]
    products = [[32, 32], [32, 96], [32, 128], [64, 32]]
    assert sorted(dims for dims in int8 if len(dims) == 2 and 1 not in dims) == sorted(
        [[VOCAB_SIZE, 32], *products, *products]
    )
    scales = [dims for name, (_, dims) in types.items() if name.endswith("_scale")]
    assert {(32,), (96,), (128,)} <= {tuple(dims) for dims in scales}


def test_rows_are_rounded_each_by_its_own_scale() -> None:
    table = np.random.default_rng(0).normal(size=(50, 16)).astype(np.float32)
    table *= np.logspace(-4, 2, 50, dtype=np.float32)[:, None]
    table[7] = 0
    rows, scales = round_rows(table)
    assert rows.dtype == np.int8
    error = np.abs(rows * scales - table).max(1)
    assert (error <= np.abs(table).max(1) / 127 / 2 * 1.001).all()
    assert (rows[7] == 0).all()


def test_the_report_tells_what_was_compared(exported: Exported) -> None:
    text = (exported.folder / "report.json").read_text(encoding="utf-8")
    report = ExportReport.model_validate_json(text)
    torch_, float32, int8 = (report.networks[name] for name in ("torch", "float32", "int8"))
    assert torch_.answers.exact_match.value == float32.answers.exact_match.value == 1
    assert int8.answers.exact_match.value == 1 - report.int8.drop_points.value / 100
    assert report.int8.broken - report.int8.fixed == round(
        report.int8.drop_points.value / 100 * report.int8.utterances
    )
    assert 1e-3 < int8.answers.largest_difference < 1
    assert int8.file_bytes == (exported.folder / "model.int8.onnx").stat().st_size
    assert report.embedding_parameters == 32 * VOCAB_SIZE
    markdown = (exported.folder / "report.md").read_text(encoding="utf-8")
    assert "points of exact match" in markdown
    assert json.loads(text)["locales"] == {"en-US": report.int8.utterances}


@pytest.mark.usefixtures("traced_before")
def test_too_large_a_drop_is_an_error_and_what_was_there_stays(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out"
    shutil.copytree(exported.folder, output)
    digest = load_artifact(output).digest

    def round_badly(source: Path, target: Path, *, reduce_range: bool) -> None:
        model = onnx.load(source)
        for tensor in model.graph.initializer:
            if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) == 2:
                values = np.rint(onnx.numpy_helper.to_array(tensor))
                tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
        onnx.save(model, target)

    monkeypatch.setattr(export, "quantize", round_badly)
    with pytest.raises(AccuracyLossError, match=r"int8 loses .* points of exact match") as caught:
        export_onnx(ExportSpec(), exported.model, output, data=[exported.data])
    assert caught.value.exit_code == 1
    for part in ("utterances broken", "0.2 points", "--max-drop", "nothing was written"):
        assert part in str(caught.value)
    assert load_artifact(output).digest == digest
    with pytest.raises(AccuracyLossError):
        export_onnx(ExportSpec(), exported.model, tmp_path / "new", data=[exported.data])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def test_a_graph_that_computes_something_else_is_refused(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def take_int8(network: torch.nn.Module, file: Path, *, max_tokens: int) -> None:
        shutil.copyfile(exported.folder / "model.int8.onnx", file)

    monkeypatch.setattr(export, "write_graph", take_int8)
    with pytest.raises(AccuracyLossError, match="computes something else"):
        export_onnx(
            ExportSpec(max_drop=100), exported.model, tmp_path / "out", data=[exported.data]
        )
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("traced_before")
def test_the_verb_prints_the_folder_and_passes_its_settings_on(
    exported: Exported, tmp_path: Path
) -> None:
    words = ["onnx", exported.model, "--data", exported.data, "--out", tmp_path / "out"]
    run = CliRunner().invoke(command, [str(word) for word in [*words, "--max-drop", 100]])
    assert run.stdout.splitlines() == [str(tmp_path / "out")]
    assert "# Export of an NLU model" in run.stderr
    spec = load_artifact(tmp_path / "out").manifest.recipe["export"]
    assert spec == ExportSpec(max_drop=100).model_dump(mode="json", exclude={"data"})


@pytest.mark.usefixtures("traced_before")
def test_the_float32_network_can_be_left_out(exported: Exported, tmp_path: Path) -> None:
    spec = ExportSpec(max_drop=100, keep_float32=False, max_utterances=5)
    artifact = export_onnx(spec, exported.model, tmp_path / "out", data=[exported.data])
    assert "model.onnx" not in artifact.manifest.files
    assert artifact.facts["utterances"] == 5


def test_what_cannot_be_exported_or_compared_is_named(exported: Exported, tmp_path: Path) -> None:
    with pytest.raises(ArtifactKindError, match="a nlu-model artifact is needed"):
        export_onnx(ExportSpec(), exported.folder, tmp_path / "out", data=[exported.data])
    with write_artifact(tmp_path / "text", "nlu-text-model"):
        pass
    with pytest.raises(ArtifactKindError, match=r"writes its labels as text.* not exported"):
        export_onnx(ExportSpec(), tmp_path / "text", tmp_path / "out", data=[exported.data])
    for spec, data, problem in [
        (ExportSpec(partition="dve"), [exported.data], "Did you mean 'dev'"),
        (ExportSpec(locales=("ko-KR",)), [exported.data], "no data for the locale 'ko-KR'"),
        (ExportSpec(), [], "no labelled utterances are named"),
    ]:
        with pytest.raises(InputError, match=problem):
            export_onnx(spec, exported.model, tmp_path / "out", data=data)


def test_utterances_are_taken_evenly(exported: Exported, tmp_path: Path) -> None:
    model = load_nlu_model(exported.model)
    texts = [f"word {number}" for number in range(10)]
    folder = save_own_answers(model, tmp_path / "data", texts)
    everything = read_utterances(ExportSpec(), [folder])
    assert [one.utt for one in evenly(everything, 5)] == texts[::2]
    assert [one.utt for one in everything] == texts
    both = read_utterances(ExportSpec(data=(folder, exported.data)), [])
    assert len(both) == len(texts) + len(read_utterances(ExportSpec(), [exported.data]))


def test_transitions_of_tags_go_with_the_graph_which_lacks_them(tmp_path: Path) -> None:
    trained = load_nlu_model(save_tiny_nlu(tmp_path / "nlu", tiny_config(crf=True)))
    assert trained.transitions is not None
    (tmp_path / "out").mkdir()
    export._copy_files(trained, tmp_path / "nlu", tmp_path / "out")
    found = read_transitions(tmp_path / "out", trained.config)
    assert found is not None
    for mine, other in zip(astuple(found), astuple(trained.transitions), strict=True):
        np.testing.assert_array_equal(mine, other)
    # Nothing else of the heads is written twice.
    assert (tmp_path / "out" / "heads.safetensors").stat().st_size < 1000


def test_seven_bits_are_seven_bits(exported: Exported, tmp_path: Path) -> None:
    from hunmin.serving.export.quantize import quantize

    quantize(exported.folder / "model.onnx", tmp_path / "small.onnx", reduce_range=True)
    graph = onnx.load(tmp_path / "small.onnx").graph
    matrices = [
        onnx.numpy_helper.to_array(tensor)
        for tensor in graph.initializer
        if tensor.data_type == onnx.TensorProto.INT8 and tensor.name.endswith("_quantized")
    ]
    assert matrices
    assert max(np.abs(matrix.astype(int)).max() for matrix in matrices) <= 64
    onnxruntime.InferenceSession(tmp_path / "small.onnx", providers=["CPUExecutionProvider"])
