"""`hunmin plan`: what is printed and written, and what is refused on the way."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hunmin.cli.main import run_cli
from hunmin.pipeline.recipe import read_recipe

SMALL = ["gpt3-1.3b", "--cluster", "p4d:2"]


def plan(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    code = run_cli(["plan", *map(str, arguments)])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return captured.out


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert run_cli(["plan", *map(str, arguments)]) == 2
    captured = capsys.readouterr()
    assert not captured.out
    assert "Traceback" not in captured.err
    return captured.err


def test_a_plan_says_layout_memory_speed_and_run(capsys: pytest.CaptureFixture[str]) -> None:
    text = plan(capsys, *SMALL, "--tokens", "26B", "--price", "32.77", "--storage", "2 GB/s")
    for words in (
        "partition groups of",
        "MFU",
        "HFU",
        "goodput",
        "Wh",
        "at 32.77 a node and hour",
    ):
        assert words in text
    assert "26B tokens" in text
    assert "Next best by tokens a second" in text
    assert "ZeRO-3: groups of 16" in text
    assert "Not in the model" in text


def test_json_is_the_plan_and_its_numbers_agree(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [*SMALL, "--tokens", "26B", "--price", "10", "--failures", "none"]
    found = json.loads(plan(capsys, *arguments, "--storage", "1 GB/s", "--json"))
    best, run = found["best"], found["run"]
    seconds = best["step"]["seconds"]
    assert run["tokens_per_second"] == pytest.approx(best["tokens_per_step"] / seconds)
    assert run["steps"] == -(-26_000_000_000 // best["tokens_per_step"])
    days = run["steps"] * seconds / 86_400
    assert run["ideal"]["days"] == pytest.approx(days)
    assert run["ideal"]["cost"] == pytest.approx(10 * 2 * 24 * days)
    assert best["memory"]["total"] <= 0.9 * 42_400_000_000
    assert best["mfu"] <= best["hfu"] < 1
    assert found["accuracy"]["not_in_the_model"]


def test_the_recipe_of_a_plan_is_one(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    found = json.loads(plan(capsys, *SMALL, "--partition-group", "8", "--json"))
    path = tmp_path / "recipe.yaml"
    path.write_text("name: planned\n" + found["recipe"], encoding="utf-8")
    recipe = read_recipe(path).spec
    assert recipe.train is not None
    assert recipe.train.batch_tokens == found["best"]["tokens_per_step"]
    assert yaml.safe_load(found["recipe"])["parallel"]["partition_group"] == 8


def test_what_is_fixed_stays(capsys: pytest.CaptureFixture[str]) -> None:
    fixed = ["--partition-group", "world", "--tensor", "2", "--micro-batch", "2"]
    more = ["--recompute", "blocks", "--context", "1024", "--batch-tokens", "1M"]
    others = ["--optimizer", "muon", "--precision", "fp16"]
    best = json.loads(plan(capsys, *SMALL, *fixed, *more, *others, "--json"))["best"]
    strategy = best["strategy"]
    assert strategy["layout"]["partition_group"] == 8
    assert strategy["layout"]["tensor"] == 2
    assert (strategy["micro_batch"], strategy["recompute"]) == (2, "blocks")
    assert (strategy["optimizer"], strategy["precision"]) == ("muon", "fp16")
    assert best["context"] == 1024
    assert best["tokens_per_step"] == pytest.approx(1e6, rel=0.05)


def test_another_program_is_named_where_its_plan_is_no_recipe(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = plan(capsys, *SMALL, "--software", "deepspeed")
    assert "trained by           DeepSpeed" in text
    assert "# planned for DeepSpeed" in text
    assert "# planned for" not in plan(capsys, *SMALL)


def test_explain_draws_a_step_and_names_every_other_choice(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = plan(capsys, *SMALL, "--explain")
    assert "  compute  " in text
    assert "waits first" in text
    assert "… 20 more" in text
    assert "Every other choice at its best" in text
    for choice in ("groups of 2", "tensor 4", "recomputes", "row"):
        assert choice in text


def test_out_writes_a_whole_folder_and_replaces_only_plans(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = tmp_path / "plan"
    out = ["--out", folder]
    printed = plan(capsys, *SMALL, *out, "--json")
    pictures = {f"{n}.{s}" for n in ("timeline", "weak", "strong") for s in ("svg", "png")}
    assert {path.name for path in folder.iterdir()} == {"plan.json", "plan.md", *pictures}
    written = json.loads((folder / "plan.json").read_text("utf-8"))
    assert written["best"] == json.loads(printed)["best"]
    assert set(written["scaling"]) == {"weak", "strong"}
    text = (folder / "plan.md").read_text("utf-8")
    assert all(f"({name}.svg)" in text for name in ("timeline", "weak", "strong"))
    assert "MFU" in text
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    assert "other files in this folder" in refusal(capsys, *SMALL, *out)
    assert (folder / "notes.txt").read_text("utf-8") == "mine"


def test_a_file_is_no_folder(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert "is a file" in refusal(capsys, *SMALL, "--out", tmp_path / "file")


def test_one_device_has_no_network(capsys: pytest.CaptureFixture[str]) -> None:
    text = plan(capsys, "gpt2", "--cluster", "laptop", "--explain")
    assert "nothing between nodes" in text
    assert "partition groups of 1, one copy" in text
    arguments = ["gpt2", "--cluster", "laptop", "--failures", "none", "--json"]
    printed = plan(capsys, *arguments)
    assert "NaN" not in printed
    assert "Infinity" not in printed


def test_the_list_names_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    text = plan(capsys, "--list")
    for name in ("p4d", "dgx-a100", "gpt3-175b", "hyperclova-82b", "hunmin", "my-cluster.yaml:16"):
        assert name in text
    found = json.loads(plan(capsys, "--list", "--json"))
    assert {"name", "title", "device"} <= set(found["clusters"][0])
    assert {"name", "parameters"} <= set(found["models"][0])


def test_what_the_list_says_about_files_of_ones_own_is_true(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    text = plan(capsys, "--list")
    files = text.split("  # my-")[1:]
    for text, name in zip(files, ("cluster", "model"), strict=True):
        lines = text.split("\n\n")[0].splitlines()[1:]
        path = tmp_path / f"my-{name}.yaml"
        path.write_text("\n".join(line.strip() for line in lines) + "\n", encoding="utf-8")
    model, cluster = tmp_path / "my-model.yaml", tmp_path / "my-cluster.yaml"
    found = json.loads(plan(capsys, model, "--cluster", f"{cluster}:64", "--json"))
    assert found["best"]["devices"] == 512
    assert found["best"]["strategy"]["layout"]["ranks_per_node"] == 8
    assert found["run"]["checkpoint"]["write_seconds"] is not None


def test_a_budget_names_sizes_and_tokens(capsys: pytest.CaptureFixture[str]) -> None:
    budget = ["--budget", "10000gpu-hours", "--device", "A100-40GB"]
    text = plan(capsys, *budget, "--unique-tokens", "20B", "--inference-tokens", "1T")
    for words in ("compute-optimal", "4x smaller", "20B unique tokens", "for 1T tokens", "size:"):
        assert words in text
    found = json.loads(plan(capsys, "--budget", "10k gpu hours", "--cluster", "p4d", "--json"))
    assert found["mfu"] == 0.4
    assert found["flops"] == pytest.approx(1e4 * 3600 * 312e12 * 0.4)
    other = json.loads(plan(capsys, *budget, "--mfu", "0.2", "--precision", "fp32", "--json"))
    assert (other["mfu"], other["precision"]) == (0.2, "fp32")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "a plan needs MODEL"),
        (["gpt3-175b"], "a plan needs --cluster NAME:NODES"),
        (["gpt3-175", "--cluster", "p4d:2"], "Did you mean 'gpt3-175b'?"),
        (["gpt2", "--cluster", "p4dd:2"], "Did you mean 'p4d'?"),
        (["gpt2", "--cluster", "p4d:none"], "no number of nodes"),
        ([*SMALL, "--software", "hunnin"], "Did you mean 'hunmin'?"),
        ([*SMALL, "--price", "cheap"], "--price: not a price"),
        ([*SMALL, "--price", "-3"], "--price: not a price"),
        ([*SMALL, "--tokens", "many"], "--tokens: not a number of tokens"),
        ([*SMALL, "--batch-tokens", "3.2 parsec"], "--batch-tokens: not a number of tokens"),
        ([*SMALL, "--batch-tokens", "100"], "smaller than one row"),
        ([*SMALL, "--storage", "2 GB"], "--storage: not a bandwidth"),
        ([*SMALL, "--failures", "often"], "--failures: not a rate of failures"),
        ([*SMALL, "--failures", "1.2.3/device-day"], "--failures: not a rate of failures"),
        ([*SMALL, "--partition-group", "most"], "--partition-group: not a partition group"),
        ([*SMALL, "--partition-group", "3"], "partition groups must share out the ranks evenly"),
        ([*SMALL, "--tensor", "3"], "cannot be split so"),
        ([*SMALL, "--recompute", "all"], "Invalid value for '--recompute'"),
        ([*SMALL, "--mfu", "0.4"], "these belong to a budget"),
        (["gpt3-175b", "--cluster", "p4d:1"], "gpt3-175b does not fit 8 x"),
        (["gpt2", "--list"], "a list is of all models"),
        ([*SMALL, "--out", "."], "that this runs in cannot be replaced"),
        ([*SMALL, "--out", "/proc/here/plan"], "no folder can be made here"),
        ([*SMALL, "--budget", "10gpu-hours"], "a budget asks which model to train"),
        (["--budget", "10gpu-hours", "--tokens", "3B"], "--tokens"),
        (["--budget", "10gpu-hours"], "a budget needs a device"),
        (["--budget", "10 hours", "--cluster", "p4d"], "--budget: not a number of device hours"),
        (["--budget", "10gpu-hours", "--device", "a100-40"], "Did you mean 'a100-40gb'?"),
        (
            ["--budget", "10gpu-hours", "--cluster", "p4d", "--mfu", "3"],
            "this number is impossible",
        ),
        (
            ["--budget", "10gpu-hours", "--cluster", "p4d", "--device", "a100-40gb"],
            "both --device and --cluster",
        ),
    ],
)
def test_bad_input_is_told_in_a_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refusal(capsys, *arguments)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("1e-3/device-day", 1e-3),
        ("0.2 per gpu-year", 0.2 / 365.25),
        ("7/device-week", 1.0),
        ("none", 0.0),
    ],
)
def test_failures_have_a_unit(text: str, rate: float) -> None:
    from hunmin.cli.plan_parse import parse_failures

    assert parse_failures(text) == pytest.approx(rate)


@pytest.mark.parametrize("arguments", [["--help"], ["plan", *SMALL], ["plan", "--list"]])
def test_neither_torch_nor_matplotlib_is_needed(arguments: list[str]) -> None:
    code = (
        "import sys\n"
        "from hunmin.cli.main import run_cli\n"
        f"assert run_cli({arguments!r}) == 0\n"
        "print([m for m in ('torch', 'transformers', 'matplotlib') if m in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.splitlines()[-1] == "[]"
