import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hunmin.core.errors import MissingExtraError
from hunmin.core.figures import check_plotting
from hunmin.evaluation.language_plot import MAX_PANELS, ROWS_PER_PANEL, plot_languages
from hunmin.evaluation.metrics import read_metrics
from hunmin.evaluation.plots import (
    MAX_POINTS,
    plot_loss_curve,
    plot_runs,
    smoothed,
)

TAGS = [f"{a}{b}" for a in "abcdefghijklmnopqr" for b in "abcdefghijkl"]


def png_size(path: Path) -> tuple[int, int]:
    header = path.read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(header[16:20]), int.from_bytes(header[20:24])


def text_of(path: Path) -> set[str]:
    """matplotlib writes every text as a comment beside its outlines."""
    svg = path.read_text(encoding="utf-8")
    return {part.split("-->")[0].strip() for part in svg.split("<!--")[1:]}


def test_language_plot_names_every_language_and_both_baselines(tmp_path, make_report):
    report = make_report(languages=("ko", "de", "sw"))
    plot_languages(report, [tmp_path / "plot.svg", tmp_path / "plot.png"])
    texts = text_of(tmp_path / "plot.svg")
    assert {"all", "ko", "de", "sw", "model", "byte 5-gram", "order-0 bytes"} <= texts
    value = report.by_language["sw"].scores["model"].bits_per_byte.value
    assert f"{value:.2f}" in texts
    assert any("further left is better" in text for text in texts)


def test_language_plot_grows_with_the_languages_until_it_starts_a_new_column(tmp_path, make_report):
    sizes = []
    for count in (1, 60, 100):
        report = make_report(languages=TAGS[:count], num_documents=200)
        plot_languages(report, [tmp_path / "plot.png"])
        sizes.append(png_size(tmp_path / "plot.png"))
    (one_width, one_height), (many_width, many_height), (two_width, _) = sizes
    assert one_width == many_width
    assert two_width == 2 * one_width
    assert many_height > 3 * one_height


def test_more_languages_than_fit_leave_out_those_with_least_text(tmp_path, make_report):
    count = ROWS_PER_PANEL * MAX_PANELS + 4
    report = make_report(languages=TAGS[:count], num_documents=2 * count)
    plot_languages(report, [tmp_path / "plot.svg"])
    texts = text_of(tmp_path / "plot.svg")
    by_size = sorted(report.by_language, key=lambda tag: report.by_language[tag].num_bytes)
    assert not set(by_size[:2]) & texts
    assert set(by_size[-50:]) <= texts
    assert any(f"the {count - 5} of {count} with the most text" in text for text in texts)


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_equal_numbers_give_equal_files(tmp_path, make_report, run_folder, suffix):
    for name in ("first", "second"):
        plot_languages(make_report(), [tmp_path / f"languages {name}{suffix}"])
        plot_loss_curve(read_metrics(run_folder), [tmp_path / f"loss {name}{suffix}"])
    for plot in ("languages", "loss"):
        first, second = (tmp_path / f"{plot} {name}{suffix}" for name in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()


def test_loss_curve_shows_both_losses(tmp_path, run_folder):
    plot_loss_curve(read_metrics(run_folder), [tmp_path / "loss.svg"])
    assert {"training, smoothed", "validation", "steps"} <= text_of(tmp_path / "loss.svg")


@pytest.mark.parametrize("num_steps", [1, 2])
def test_loss_curve_of_a_run_that_has_just_begun(tmp_path, write_run, step_record, num_steps):
    records = [step_record(step) for step in range(1, num_steps + 1)]
    metrics = read_metrics(write_run(tmp_path / "run", records))
    plot_loss_curve(metrics, [tmp_path / "loss.png"])
    assert png_size(tmp_path / "loss.png")[0] > 1000


def test_loss_curve_leaves_out_a_loss_that_is_not_a_number(tmp_path, write_run, step_record):
    records = [step_record(1), step_record(2, loss=float("nan")), step_record(3)]
    metrics = read_metrics(write_run(tmp_path / "run", records))
    plot_loss_curve(metrics, [tmp_path / "loss.png"])
    assert png_size(tmp_path / "loss.png")[0] > 1000


def test_runs_plot_names_every_run(tmp_path, write_run):
    runs = {name: read_metrics(write_run(tmp_path / name)) for name in TAGS[:9]}
    plot_runs(runs, tmp_path / "runs.svg")
    assert set(runs) <= text_of(tmp_path / "runs.svg")


def test_smoothing_averages_nearby_steps_only():
    steps = np.array([1.0, 10.0, 11.0, 100.0])
    positions, means = smoothed(steps, np.array([4.0, 2.0, 3.0, 1.0]))
    np.testing.assert_array_equal(positions, steps)
    np.testing.assert_allclose(means, [4.0, 2.5, 2.5, 1.0])


def test_smoothing_of_a_long_run_is_thinned_and_keeps_its_ends():
    steps = np.arange(1.0, 100_001.0)
    positions, means = smoothed(steps, np.full(steps.size, 3.0))
    assert positions.size <= MAX_POINTS
    assert (positions[0], positions[-1]) == (1.0, 100_000.0)
    np.testing.assert_allclose(means, 3.0)


def test_smoothing_passes_over_what_is_not_a_number():
    _, means = smoothed(np.array([50.0, 51.0, 52.0]), np.array([2.0, np.nan, 4.0]))
    np.testing.assert_allclose(means, 3.0)


def test_missing_matplotlib_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match="matplotlib") as caught:
        check_plotting()
    assert "plots" in caught.value.hint


def test_modules_of_numbers_do_not_import_matplotlib_or_torch():
    code = (
        "import sys, hunmin.evaluation.spec, hunmin.evaluation.runs, hunmin.evaluation.table,"
        "hunmin.evaluation.plots, hunmin.cli.runs;"
        "sys.exit(bool({'matplotlib', 'torch', 'transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
