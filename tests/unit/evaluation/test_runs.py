import os

import pytest

from hunmin.core.artifact import write_artifact
from hunmin.core.errors import InputError, MissingInputError
from hunmin.evaluation.runs import list_runs, plot_runs, show_run


def add_stage(run_folder, name="corpus", kind="documents"):
    with write_artifact(run_folder / name, kind) as draft:
        (draft.path / "data.txt").write_text("12345", encoding="utf-8")
        draft.facts["documents"] = 3


def test_summary_of_a_run(run_folder):
    add_stage(run_folder)
    (summary,) = list_runs(run_folder.parent)
    assert summary.name == "first"
    assert summary.stages == ("corpus",)
    assert (summary.step, summary.num_steps, summary.tokens) == (50, 50, 3200)
    assert summary.loss == pytest.approx(5.0 / 50**0.2)
    assert summary.best_step == 40
    assert summary.validation_loss == pytest.approx(5.2 / 40**0.2)
    assert summary.bits_per_byte == pytest.approx(2.6 / 40**0.2)
    assert summary.tokens_per_second == 100.0
    assert summary.seconds == 25.0
    assert summary.num_sittings == 1


def test_newest_run_first_and_other_folders_passed_over(tmp_path, write_run):
    for age, name in ((300, "old"), (100, "new"), (200, "middle")):
        folder = write_run(tmp_path / name)
        for file in (folder / "recipe.yaml", folder / "train" / "metrics.jsonl"):
            os.utime(file, (2_000_000_000 - age, 2_000_000_000 - age))
    (tmp_path / "not a run").mkdir()
    (tmp_path / "file.txt").write_text("", encoding="utf-8")
    assert [summary.name for summary in list_runs(tmp_path)] == ["new", "middle", "old"]


def test_a_run_that_has_not_trained_yet(tmp_path):
    folder = tmp_path / "fresh"
    folder.mkdir()
    (folder / "recipe.yaml").write_text("name: fresh\n", encoding="utf-8")
    (summary,) = list_runs(tmp_path)
    assert (summary.step, summary.loss, summary.num_sittings) == (None, None, 0)
    assert summary.updated is not None


def test_a_diverged_evaluation_is_never_the_best(tmp_path, write_run, evaluation_record):
    records = [evaluation_record(10, float("nan")), evaluation_record(20, 3.0)]
    write_run(tmp_path / "run", records)
    assert list_runs(tmp_path)[0].best_step == 20


def test_missing_folder_of_runs(tmp_path):
    with pytest.raises(MissingInputError, match="no such folder of runs"):
        list_runs(tmp_path / "absent")


def test_show_tells_stages_machine_and_recipe(run_folder):
    add_stage(run_folder, "tokenizer", "tokenizer")
    add_stage(run_folder)
    details = show_run(run_folder)
    assert sorted(stage.name for stage in details.stages) == ["corpus", "tokenizer"]
    corpus = next(stage for stage in details.stages if stage.name == "corpus")
    assert (corpus.kind, corpus.num_bytes, corpus.facts) == ("documents", 5, {"documents": 3})
    assert details.machine["device"] == "cpu"
    assert [record["step"] for record in details.evaluations] == [10, 20, 30, 40]
    assert details.recipe == "name: first\n"


def test_a_stage_that_cannot_be_read_does_not_hide_the_others(run_folder):
    add_stage(run_folder)
    (run_folder / "model").mkdir()
    (run_folder / "model" / "manifest.json").write_text("{", encoding="utf-8")
    assert [stage.name for stage in show_run(run_folder).stages] == ["corpus"]


def test_show_of_a_wrong_name_suggests_the_right_one(run_folder):
    with pytest.raises(MissingInputError, match="Did you mean 'first'"):
        show_run(run_folder.parent / "fist")


def test_plot_of_runs_with_one_name_tells_them_apart(tmp_path, write_run):
    folders = [write_run(tmp_path / side / "run") for side in ("a", "b")]
    output = tmp_path / "new folder" / "plot.svg"
    plot_runs(folders, output)
    svg = output.read_text(encoding="utf-8")
    assert all(f"<!-- {folder} -->" in svg for folder in folders)


def test_plot_refuses_other_endings(run_folder, tmp_path):
    with pytest.raises(InputError, match=r"written as PNG or SVG[\s\S]*\.pdf[\s\S]*\.png, \.svg"):
        plot_runs([run_folder], tmp_path / "plot.pdf")


def test_plot_refuses_a_run_without_steps(tmp_path, write_run):
    folder = write_run(tmp_path / "run", [{"event": "start", "resumed_step": 0}])
    with pytest.raises(InputError, match="has not recorded a step yet"):
        plot_runs([folder], tmp_path / "plot.png")


def test_plot_refuses_a_folder_without_a_run(tmp_path):
    with pytest.raises(MissingInputError, match="there is no run here"):
        plot_runs([tmp_path], tmp_path / "plot.png")
