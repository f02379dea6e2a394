"""`hunmin launch`: from a recipe to a script or manifest, and what is refused on the way."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
import yaml

from hunmin.cli.launch_kubernetes import recipe_text
from hunmin.cli.main import run_cli
from hunmin.pipeline.recipe import Recipe, read_recipe

REPOSITORY = Path(__file__).resolve().parents[3]
TRAINS = "name: ko\ntrain: {duration: 5 steps}\n"
SLURM = ["--nodes", "4", "--gpus-per-node", "8"]
KUBERNETES = [*SLURM, "--image", "hunmin:0.1", "--volume", "shared:/shared"]
HAS_PARALLEL = "parallel" in Recipe.model_fields


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe in a folder that is the current one."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "ko.yaml"
    path.write_text(TRAINS, encoding="utf-8")
    return path


def launch(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    code = run_cli(["launch", *map(str, arguments)])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return captured.out


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert run_cli(["launch", *map(str, arguments)]) == 2
    captured = capsys.readouterr()
    assert not captured.out
    return captured.err


def test_the_local_command_is_printed(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = launch(capsys, "local", recipe, "train.duration=7 steps", "--processes", 2)
    assert shlex.split(line) == [
        "torchrun", "--standalone", "--nproc-per-node", "2", "-m", "hunmin", "train", str(recipe),
        "train.duration=7 steps", "--run-dir", "runs/ko",
    ]  # fmt: skip


def test_slurm_gets_the_recipe_the_overrides_and_this_folder(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [recipe.name, "model.size=1B", *SLURM, "--python", "/shared/bin/python"]
    script = launch(capsys, "slurm", *arguments, "--time", "24:00:00", "--run-dir", "/shared/ko")
    assert script.startswith("#!/bin/bash\n")
    assert f"#SBATCH --chdir={recipe.parent}\n" in script
    assert "#SBATCH --time=1-00:00:00\n" in script
    assert "/shared/bin/python -m torch.distributed.run\n" in script
    assert "-m hunmin train ko.yaml model.size=1B --run-dir /shared/ko\n" in script


def test_kubernetes_gets_the_recipe_itself(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = launch(capsys, "kubernetes", recipe, "train.duration=7 steps", *KUBERNETES)
    config, job = yaml.safe_load_all(text)
    assert yaml.safe_load(config["data"]["recipe.yaml"])["train"]["duration"] == "7 steps"
    pod = job["spec"]["pytorchReplicaSpecs"]["Worker"]["template"]["spec"]
    assert pod["containers"][0]["workingDir"] == "/shared"
    wanted = ["train", "/etc/hunmin/recipe.yaml", "--run-dir", "/shared/runs/ko"]
    assert pod["containers"][0]["command"][-4:] == wanted


@pytest.mark.parametrize("path", sorted((REPOSITORY / "recipes").glob("*.yaml")))
def test_a_recipe_that_travels_says_the_same(path: Path, tmp_path: Path) -> None:
    spec = read_recipe(path).spec
    copy = tmp_path / "recipe.yaml"
    copy.write_text(recipe_text(spec), encoding="utf-8")
    assert read_recipe(copy).spec == spec


def test_json_says_what_is_written(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = recipe.parent / "train.yaml"
    arguments = ["kubernetes", recipe, *KUBERNETES, "--output", output, "--json"]
    said = json.loads(launch(capsys, *arguments, "--flavour", "trainjob"))
    assert said["text"] == output.read_text("utf-8")
    assert said["manifests"] == list(yaml.safe_load_all(said["text"]))
    assert said["nodes"] == {"fewest": 4, "most": 4}
    assert (said["target"], said["output"]) == ("trainjob", str(output))
    said = json.loads(launch(capsys, "slurm", recipe, *SLURM, "--json"))
    assert said["text"].startswith("#!/bin/bash\n")
    assert (said["target"], said["output"], said["run_dir"]) == ("slurm", None, "runs/ko")


def test_a_file_is_not_replaced_unasked(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = recipe.parent / "train.sbatch"
    arguments = ["slurm", recipe, "--output", output]
    assert launch(capsys, *arguments, *SLURM) == f"{output}\n"
    assert launch(capsys, *arguments, *SLURM) == f"{output}\n", "it says the same"
    edited = output.read_text("utf-8") + "# mine\n"
    output.write_text(edited, encoding="utf-8")
    assert "--force" in refusal(capsys, *arguments, *SLURM)
    assert output.read_text("utf-8") == edited
    launch(capsys, *arguments, *SLURM, "--force")
    assert "# mine" not in output.read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--nodes", "4:2", "--gpus-per-node", "8"], "--nodes: the fewest nodes"),
        (["--nodes", "four", "--gpus-per-node", "8"], "--nodes: not a number of nodes"),
        (["--nodes", "4", "--gpus-per-node", "0"], "--processes-per-node: a node without GPUs"),
        ([*SLURM, "--processes-per-node", "9"], "more ranks on a node than GPUs"),
        ([*SLURM, "--time", "soon"], "--time: not a time limit"),
        ([*SLURM, "--time", "5"], "--grace: the time to save"),
        ([*SLURM, "--env", "RANK=1"], "--env: torchrun gives this variable"),
        ([*SLURM, "--env", "A B=1"], "--env: not an environment variable"),
        ([*SLURM, "--rdzv-conf", "timeout=1"], "--rdzv-conf: not a setting"),
        ([*SLURM, "--directive", "--nodes=8"], "--directive: the script decides"),
        ([*SLURM, "--name", "한국어"], "--name: sbatch reads this"),
    ],
)
def test_bad_input_is_told(
    recipe: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert message in refusal(capsys, "slurm", recipe, *arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (SLURM, "Missing option '--image'"),
        ([*SLURM, "--image", "hunmin:0.1"], "Missing option '--volume'"),
        ([*KUBERNETES, "--name", "Ko"], "--name: Kubernetes takes no such name"),
        ([*KUBERNETES, "--run-dir", "/runs/ko"], "--run-dir: the run folder does not lie"),
        ([*KUBERNETES, "--nodes", "2:4", "--flavour", "trainjob"], "fixed number of nodes"),
    ],
)
def test_bad_input_for_kubernetes_is_told(
    recipe: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert message in refusal(capsys, "kubernetes", recipe, *arguments)


@pytest.mark.parametrize("text", ["name: ko\n", f"{TRAINS}use: {{train: runs/other/model}}\n"])
@pytest.mark.parametrize(
    "arguments", [["local", "--processes", "2"], ["slurm", *SLURM], ["kubernetes", *KUBERNETES]]
)
def test_a_recipe_that_trains_nothing_is_refused(
    recipe: Path, capsys: pytest.CaptureFixture[str], text: str, arguments: list[str]
) -> None:
    recipe.write_text(text, encoding="utf-8")
    message = refusal(capsys, arguments[0], recipe, *arguments[1:])
    assert "this recipe trains no model" in message
    assert "a section train, and no use.train" in message


@pytest.mark.skipif(not HAS_PARALLEL, reason="recipes have no section parallel yet")
def test_a_layout_that_the_run_would_refuse_is_refused(
    recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe.write_text(f"{TRAINS}parallel: {{partition_group: 16}}\n", encoding="utf-8")
    launch(capsys, "slurm", recipe, *SLURM)
    message = refusal(capsys, "slurm", recipe, "--nodes", "2:4", "--gpus-per-node", "8")
    assert "parallel.partition_group: partition groups must share out the ranks" in message
    assert "(with 3 of 2:4 nodes)" in message
    message = refusal(capsys, "local", recipe, "parallel.tensor=3", "--processes", "2")
    assert "parallel.tensor: ranks that split matrices must lie on one node" in message
