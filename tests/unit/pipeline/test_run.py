"""Which stages run, why, and who may work in a run folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hunmin.core.artifact import Artifact, load_artifact, write_artifact
from hunmin.core.errors import ArtifactKindError, InputError, RecipeError
from hunmin.pipeline import run as run_module
from hunmin.pipeline.fingerprint import Fingerprint, StageRecord, reason_to_run
from hunmin.pipeline.recipe import Recipe, read_recipe
from hunmin.pipeline.run import PipelineRun, exclusive
from hunmin.pipeline.stage import StageContext, require_section
from hunmin.pipeline.stages import STAGES, wanted_stages

NOW = Fingerprint(recipe="r", inputs={"corpus": "c"}, code="k")


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    with write_artifact(tmp_path / "artifact", "tokens") as draft:
        (draft.path / "file").write_text("x", encoding="utf-8")
    return load_artifact(tmp_path / "artifact")


def test_reasons(artifact: Artifact) -> None:
    record = StageRecord(NOW, artifact.digest, 1.0)
    assert reason_to_run(NOW, record, artifact) is None
    assert reason_to_run(NOW, None, artifact) == "it has not run yet"
    assert reason_to_run(NOW, record, None) == "its result is missing"
    changed = replace(record, digest="other")
    assert reason_to_run(NOW, changed, artifact) == "its result was changed by hand"
    assert reason_to_run(replace(NOW, recipe="x"), record, artifact) == "its recipe changed"
    assert reason_to_run(replace(NOW, code="x"), record, artifact) == "its code changed"
    other = replace(NOW, inputs={"corpus": "x"})
    assert reason_to_run(other, record, artifact) == "its input changed: corpus"


def test_wanted_stages_follow_the_recipe_or_the_needs() -> None:
    recipe = Recipe.model_validate({"name": "a", "tokenizer": {}, "train": {}})
    assert [stage.name for stage in wanted_stages(recipe)] == ["tokenizer", "train"]
    until = [stage.name for stage in wanted_stages(recipe, "evaluate")]
    assert until == ["corpus", "tokenizer", "data", "train", "evaluate"]


def test_a_missing_section_is_named() -> None:
    with pytest.raises(RecipeError, match="no section 'corpus'"):
        require_section(Recipe(name="a").corpus, "corpus")


def test_a_recipe_without_stages_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.yaml"
    path.write_text("name: empty\n", encoding="utf-8")
    with pytest.raises(InputError, match="no stage to run"):
        PipelineRun(read_recipe(path), tmp_path / "run").execute()


def test_a_run_folder_has_one_worker(tmp_path: Path) -> None:
    with (
        exclusive(tmp_path / "run"),
        pytest.raises(InputError, match="another hunmin is at work"),
        exclusive(tmp_path / "run"),
    ):
        pass
    with exclusive(tmp_path / "run"):
        assert (tmp_path / "run").is_dir()


def fake_stage(name: str, calls: list[str]):
    """A stage that writes a real artifact and notes that it ran."""

    def run(context: StageContext) -> Artifact:
        calls.append(name)
        inputs = tuple(context.inputs.values())
        with write_artifact(context.output, STAGES[name].kind, inputs=inputs) as draft:
            text = f"{name} {context.record} {[a.digest for a in inputs]}"
            (draft.path / "file").write_text(text, encoding="utf-8")
        return load_artifact(context.output)

    return replace(STAGES[name], run=run, outside=None)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    calls: list[str] = []
    stages = {name: fake_stage(name, calls) for name in STAGES}
    monkeypatch.setattr("hunmin.pipeline.stages.STAGES", stages)
    monkeypatch.setattr(run_module, "STAGES", stages)
    return calls


def write_recipe(folder: Path, more: str = "") -> Path:
    path = folder / "r.yaml"
    text = "name: r\ncorpus: {sources: [{kind: files, paths: [x]}]}\ntokenizer: {}\n" + more
    path.write_text(text, encoding="utf-8")
    return path


def test_only_what_changed_runs_again(tmp_path: Path, calls: list[str]) -> None:
    path = write_recipe(tmp_path)
    lines: list[str] = []

    def execute(*overrides: str, force: bool = False) -> list[str]:
        calls.clear()
        loaded = read_recipe(path, overrides)
        PipelineRun(loaded, tmp_path / "run", tell=lines.append).execute(force=force)
        return list(calls)

    assert execute() == ["corpus", "tokenizer"]
    assert execute() == []
    assert execute("tokenizer.vocab_size=300") == ["tokenizer"]
    assert execute("corpus.seed=4", "tokenizer.vocab_size=300") == ["corpus", "tokenizer"]
    assert "tokenizer: running, because its input changed: corpus" in lines
    assert execute("corpus.seed=4", "tokenizer.vocab_size=300", force=True) == ["tokenizer"]


def test_artifacts_of_other_runs_can_be_used(tmp_path: Path, calls: list[str]) -> None:
    path = write_recipe(tmp_path)
    PipelineRun(read_recipe(path), tmp_path / "first").execute()
    calls.clear()
    use = f"use.corpus={tmp_path / 'first' / 'corpus'}"
    outcomes = PipelineRun(read_recipe(path, (use,)), tmp_path / "second").execute()
    assert calls == ["tokenizer"]
    assert [outcome.stage for outcome in outcomes] == ["tokenizer"]
    wrong = f"use.corpus={tmp_path / 'first' / 'tokenizer'}"
    with pytest.raises(ArtifactKindError, match="a documents artifact is needed"):
        PipelineRun(read_recipe(path, (wrong,)), tmp_path / "third").execute()
