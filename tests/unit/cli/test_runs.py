import json

import pytest
from click.testing import CliRunner

from hunmin.cli.runs import command


@pytest.fixture
def root(tmp_path):
    for name in ("base", "tuned"):
        train = tmp_path / "runs" / name / "train"
        train.mkdir(parents=True)
        records = [
            {"event": "start", "resumed_step": 0, "parameters": 5_200_000, "device": "cpu"},
            {"event": "step", "step": 10, "tokens": 40960, "loss": 4.25, "seconds": 9.5},
            {"event": "evaluation", "step": 10, "tokens": 40960, "loss": 4.5, "bits_per_byte": 2.0},
        ]
        lines = "".join(json.dumps(record) + "\n" for record in records)
        (train / "metrics.jsonl").write_text(lines, encoding="utf-8")
        (train.parent / "recipe.yaml").write_text(f"name: {name}\n", encoding="utf-8")
    return tmp_path / "runs"


def run(*arguments):
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_list_prints_a_line_for_each_run(root):
    header, *lines = run("list", root).splitlines()
    assert header.split()[:3] == ["run", "steps", "tokens"]
    assert sorted(line.split()[0] for line in lines) == ["base", "tuned"]
    assert lines[0].split()[1:6] == ["10", "41K", "4.250", "4.500", "2.000"]


def test_list_as_json(root):
    runs = json.loads(run("list", root, "--json"))
    assert {found["name"]: found["loss"] for found in runs} == {"base": 4.25, "tuned": 4.25}


def test_list_of_nothing_prints_no_data(tmp_path):
    assert run("list", tmp_path) == ""


def test_show(root):
    text = run("show", root / "base")
    assert "2.000 bits per byte, best, at step 10" in text
    assert "device cpu, 5.2M parameters" in text
    assert text.endswith("recipe\n  name: base\n")


def test_show_as_json(root):
    details = json.loads(run("show", root / "base", "--json"))
    assert details["summary"]["tokens"] == 40960
    assert details["evaluations"][0]["loss"] == 4.5


def test_plot_writes_an_image_and_prints_its_path(root, tmp_path):
    output = tmp_path / "loss.svg"
    assert run("plot", root / "base", root / "tuned", "--output", output) == f"{output}\n"
    assert "<!-- tuned -->" in output.read_text(encoding="utf-8")
