"""One recipe through every stage: results, skipping, reasons, errors."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.support.recipes import hunmin, tiny_recipe

STAGES = ["corpus", "tokenizer", "data", "train", "evaluate", "generate"]


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_recipe(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def run(recipe: Path) -> Path:
    folder = recipe.parent / "run"
    result = hunmin("run", recipe, "--run-dir", folder)
    assert result.returncode == 0, result.stderr
    assert "byte 5-gram" in result.stdout
    assert "It writes" in result.stdout
    assert "hunmin serve" in result.stdout
    return folder


def outcomes(recipe: Path, run: Path, *more: str) -> dict[str, str | None]:
    result = hunmin("run", recipe, *more, "--run-dir", run, "--json")
    assert result.returncode == 0, result.stderr
    return {o["stage"]: o["ran_because"] for o in json.loads(result.stdout)}


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "run"))


def test_every_stage_leaves_an_artifact_with_lineage(run: Path) -> None:
    for folder in ("corpus", "tokenizer", "data", "model", "report", "samples"):
        assert (run / folder / "manifest.json").is_file()
    result = hunmin("inspect", run / "model")
    assert result.returncode == 0, result.stderr
    for word in ("tokens", "tokenizer", "documents", "checksums agree"):
        assert word in result.stdout


def test_a_second_run_skips_everything(recipe: Path, copy: Path) -> None:
    assert outcomes(recipe, copy) == dict.fromkeys(STAGES)


def test_a_changed_recipe_runs_only_what_depends_on_it(recipe: Path, copy: Path) -> None:
    reasons = outcomes(recipe, copy, "generate.num_samples=2")
    assert reasons == {**dict.fromkeys(STAGES), "generate": "its recipe changed"}


def test_other_training_is_set_aside_not_lost(recipe: Path, copy: Path) -> None:
    result = hunmin("train", recipe, "train.seed=5", "--run-dir", copy)
    assert result.returncode == 0, result.stderr
    assert "training starts anew" in result.stderr
    assert (copy / "train.before-1" / "metrics.jsonl").is_file()


def test_a_changed_text_is_noticed(recipe: Path, copy: Path) -> None:
    texts = recipe.parent / "texts" / "texts.jsonl"
    before = texts.read_text(encoding="utf-8")
    try:
        texts.write_text(before + '{"text": "새 문장", "language": "ko"}\n', encoding="utf-8")
        result = hunmin("corpus", recipe, "--run-dir", copy, "--json")
    finally:
        texts.write_text(before, encoding="utf-8")
    assert json.loads(result.stdout)[0]["ran_because"] == "its input changed: sources"


def test_a_finished_run_outlives_its_sources(recipe: Path, copy: Path) -> None:
    texts = recipe.parent / "texts"
    texts.rename(recipe.parent / "moved")
    try:
        assert outcomes(recipe, copy) == dict.fromkeys(STAGES)
        result = hunmin("corpus", recipe, "--run-dir", copy / "new")
    finally:
        (recipe.parent / "moved").rename(texts)
    assert result.returncode == 2
    assert "there is no such file or folder" in result.stderr


def test_a_missing_result_is_made_again(recipe: Path, copy: Path) -> None:
    shutil.rmtree(copy / "samples")
    assert outcomes(recipe, copy)["generate"] == "its result is missing"


def test_damaged_shards_are_refused(recipe: Path, copy: Path) -> None:
    shard = next((copy / "data" / "train").glob("*.bin"))
    content = bytearray(shard.read_bytes())
    content[0] ^= 1
    shard.write_bytes(content)
    result = hunmin("train", recipe, "train.seed=6", "--run-dir", copy)
    assert result.returncode == 1
    assert "the file differs from what was written" in result.stderr
    assert shard.name in result.stderr
    assert "Traceback" not in result.stderr


def test_dry_run_tells_origins_and_counts(recipe: Path, run: Path) -> None:
    result = hunmin(
        "train", recipe, "train.batch_tokens=512", "--run-dir", run, "--dry-run", "--json"
    )
    values = {v["key"]: v for v in json.loads(result.stdout)}
    assert values["train.batch_tokens"]["origin"] == "command line"
    assert values["train.duration"]["origin"].startswith(f"{recipe}:")
    assert values["train.clip_gradient_norm"]["origin"] == "default"
    assert values["train.num_steps"] == {
        "key": "train.num_steps",
        "value": 8,
        "origin": "derived",
    }
    assert "model.parameters" in values
    groups = [value["value"] for key, value in values.items() if key.startswith("mixture.")]
    assert groups
    assert all("of the samples" in text and "epochs" in text for text in groups)


def test_most_epochs_for_a_run_that_is_too_long(recipe: Path, copy: Path) -> None:
    result = hunmin("train", recipe, "data.max_epochs=0.01", "--run-dir", copy)
    assert result.returncode == 2
    assert "longer than data.max_epochs passes" in result.stderr
    short = ("data.max_epochs=100", "train.duration=2 steps")
    result = hunmin("train", recipe, *short, "--run-dir", copy)
    assert result.returncode == 0, result.stderr
    mixture = json.loads((copy / "train" / "plan.json").read_text(encoding="utf-8"))["mixture"]
    assert sum(group["share"] for group in mixture) == pytest.approx(1)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.stepz=3", "train.stepz: unknown key"),
        ("train.batch_tokens=many", "train.batch_tokens"),
        ("train.duration=3", "not a duration"),
        ("model.preset=kogpt3", "kogpt3"),
        ("tokenizer.vocab_size=100000", "vocab"),
        ("corpus.sources.0.paths=[nowhere.txt]", "nowhere.txt"),
        ("train.batch_tokens=8", "at least one sequence"),
        ("data.weights={kk: 1}", "kk"),
    ],
)
def test_bad_input_is_one_clear_message(
    recipe: Path, tmp_path: Path, override: str, message: str
) -> None:
    result = hunmin("run", recipe, override, "--run-dir", tmp_path / "run", "--until", "train")
    assert result.returncode == 2, result.stderr
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_unknown_stage_is_refused(recipe: Path, tmp_path: Path) -> None:
    result = hunmin("run", recipe, "--until", "trian", "--run-dir", tmp_path)
    assert result.returncode == 2
    assert "Did you mean 'train'" in result.stderr
