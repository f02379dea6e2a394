import numpy as np
import pytest

from hunmin.core.errors import MissingInputError
from hunmin.evaluation.metrics import read_metrics


def start(step):
    return {"event": "start", "resumed_step": step}


def test_reads_a_run_folder_and_its_train_folder(run_folder):
    metrics = read_metrics(run_folder)
    assert metrics == read_metrics(run_folder / "train")
    np.testing.assert_array_equal(metrics.series("step", "step"), np.arange(1, 51))
    np.testing.assert_array_equal(metrics.series("evaluation", "step"), [10, 20, 30, 40])
    assert metrics.starts[0]["parameters"] == 5_000_000


def test_half_written_and_foreign_lines_are_passed_over(tmp_path, write_run, step_record):
    lines = [start(0), step_record(1), '{"event": "step", "ste', step_record(2), "[1, 2]", "1"]
    folder = write_run(tmp_path / "run", [*lines, '{"event":"step","step":3,"tok'])
    assert [record["step"] for record in read_metrics(folder).steps] == [1, 2]


def test_a_character_cut_in_two_is_passed_over(tmp_path, write_run, step_record):
    folder = write_run(tmp_path / "run", [start(0), step_record(1)])
    with (folder / "train" / "metrics.jsonl").open("ab") as file:
        file.write('{"event": "error", "error": "불'.encode()[:-1])
    assert len(read_metrics(folder).steps) == 1


def test_steps_done_again_after_a_resume_count_once(tmp_path, write_run, step_record):
    first = [start(0), *(step_record(s, loss=9.0) for s in range(1, 8))]
    again = [start(4), *(step_record(s, loss=1.0) for s in (5, 6))]
    metrics = read_metrics(write_run(tmp_path / "run", first + again))
    # Step 7 of the first sitting is gone: the run has not come there yet.
    np.testing.assert_array_equal(metrics.series("step", "step"), [1, 2, 3, 4, 5, 6])
    np.testing.assert_array_equal(metrics.series("step", "loss"), [9, 9, 9, 9, 1, 1])
    assert len(metrics.starts) == 2


def test_the_last_record_of_a_step_stays(tmp_path, write_run, step_record):
    records = [start(0), step_record(1, loss=3.0), step_record(1, loss=2.0)]
    metrics = read_metrics(write_run(tmp_path / "run", records))
    np.testing.assert_array_equal(metrics.series("step", "loss"), [2.0])


def test_a_diverged_loss_is_not_a_number(tmp_path, write_run, step_record):
    records = [start(0), step_record(1), step_record(2, loss=float("nan"))]
    metrics = read_metrics(write_run(tmp_path / "run", records))
    assert metrics.steps[-1]["loss"] is None
    assert np.isnan(metrics.series("step", "loss")[-1])


def test_missing_metrics_say_where_they_should_be(tmp_path):
    with pytest.raises(MissingInputError, match=r"no metrics\.jsonl here or in its train folder"):
        read_metrics(tmp_path)
