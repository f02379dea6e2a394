"""Which stages a recipe wants, and what a run folder tells of the recipe and its plan."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hunmin.adapt.nlu.spec import NluSpec
from hunmin.core.artifact import write_artifact
from hunmin.core.errors import (
    ArtifactKindError,
    ContextLengthError,
    MissingExtraError,
    MissingInputError,
    RecipeError,
)
from hunmin.pipeline import stages
from hunmin.pipeline.dry_run import plan_run
from hunmin.pipeline.fingerprint import fingerprint_stage, section_values
from hunmin.pipeline.recipe import read_recipe
from hunmin.pipeline.run import PipelineRun
from hunmin.pipeline.stage import StageContext
from hunmin.pipeline.stages import wanted_stages


def write_recipe(folder: Path, more: str = "") -> Path:
    (folder / "text.txt").write_text("one\n\ntwo\n\nthree\n", encoding="utf-8")
    source = f"{{kind: files, paths: [{json.dumps(str(folder / 'text.txt'))}]}}"
    recipe = folder / "recipe.yaml"
    recipe.write_text(
        f"name: tiny\ncorpus:\n  sources: [{source}]\n  validation_fraction: 0\n{more}",
        encoding="utf-8",
    )
    return recipe


def test_what_comes_from_another_run_needs_no_section(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, "use: {train: other/model}\nevaluate: {}\n")
    names = [stage.name for stage in wanted_stages(read_recipe(recipe).spec, "evaluate")]
    assert names == ["corpus", "train", "evaluate"]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("train: {}\nstage2: {}\n", "train"),
        ("stage2: {}\nuse: {train: other/model}\n", "train"),
        ("stage2: {}\n", "train"),
    ],
)
def test_a_second_stage_goes_on_from_the_first(tmp_path: Path, more: str, expected: str) -> None:
    recipe = read_recipe(write_recipe(tmp_path, more)).spec
    assert stages.STAGES["stage2"].needs_of(recipe) == ("data", "tokenizer", expected)
    names = [stage.name for stage in wanted_stages(recipe, "stage2")]
    assert names == ["corpus", "tokenizer", "data", "train", "stage2"]


def test_a_student_learns_from_the_last_teacher_or_from_the_one_it_names(tmp_path: Path) -> None:
    student = stages.STAGES["student"]

    def teacher(more: str) -> str | None:
        return student.model_stage(read_recipe(write_recipe(tmp_path, more)).spec)

    assert teacher("train: {}\nstudent: {}\n") == "train"
    assert teacher("train: {}\nstage2: {}\nstudent: {}\n") == "stage2"
    assert teacher("train: {}\nstage2: {}\nintermediate: {}\nstudent: {}\n") == "intermediate"
    assert teacher("train: {}\nuse: {intermediate: a/model}\nstudent: {}\n") == "intermediate"
    assert teacher("train: {}\nstudent: {teacher: some/folder}\n") is None


def test_a_teacher_that_is_not_there_is_named(tmp_path: Path) -> None:
    recipe = read_recipe(write_recipe(tmp_path, "student: {teacher: no/such}\n")).spec
    with pytest.raises(MissingInputError, match=r"no/such: there is no such teacher"):
        fingerprint_stage(stages.STAGES["student"], recipe, {})


def test_intents_and_slots_need_labelled_utterances(tmp_path: Path) -> None:
    more = "nlu: {}\nuse: {train: some/model}\n"
    loaded = read_recipe(write_recipe(tmp_path, more))
    run = PipelineRun(loaded, tmp_path / "run")
    run.execute(until="corpus")
    model = run.artifact("corpus")
    stage = stages.STAGES["nlu"]
    context = StageContext(loaded.spec, tmp_path, {"corpus": model}, tmp_path / "nlu", {}, model)
    with pytest.raises(RecipeError, match=r"no labelled utterances"):
        stage.run(context)
    written = loaded.spec.model_copy(update={"nlu": NluSpec(style="text")})
    with pytest.raises(RecipeError, match=r"allowed: heads"):
        stage.run(replace(context, recipe=written))


def test_the_recorded_recipe_keeps_nulls_that_replace_a_default(tmp_path: Path) -> None:
    more = "train: {clip_gradient_norm: null, checkpoint_every: null}\n"
    loaded = read_recipe(write_recipe(tmp_path, more))
    PipelineRun(loaded, tmp_path / "run").execute(until="corpus")
    again = read_recipe(tmp_path / "run" / "recipe.yaml")
    assert again.spec == loaded.spec


def test_the_plan_is_written_with_origins_and_what_follows(tmp_path: Path) -> None:
    loaded = read_recipe(write_recipe(tmp_path), ("corpus.seed=4",))
    PipelineRun(loaded, tmp_path / "run").execute(until="corpus")
    plan = json.loads((tmp_path / "run" / "plan.json").read_text(encoding="utf-8"))
    by_key = {value["key"]: value for value in plan["values"]}
    assert by_key["corpus.seed"] == {"key": "corpus.seed", "value": 4, "origin": "command line"}


def test_a_preset_alone_tells_its_size(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("name: large\nmodel: {preset: hyperclova-82b}\n", encoding="utf-8")
    values = {value.key: value.value for value in plan_run(read_recipe(recipe), tmp_path)}
    assert values["model.parameters"] == "81.1B"
    assert values["model.positions"] == 2048


def test_a_context_beyond_the_positions_is_told_before_any_work(tmp_path: Path) -> None:
    more = "tokenizer: {}\ndata: {context: 64}\nmodel: {context: 32}\ntrain: {}\n"
    run = PipelineRun(read_recipe(write_recipe(tmp_path, more)), tmp_path / "run")
    with pytest.raises(ContextLengthError, match=r"data\.context 64, model\.context 32"):
        run.execute()
    assert not (tmp_path / "run" / "corpus").exists()


def test_a_missing_package_is_named_with_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = stages.STAGES["corpus"]
    monkeypatch.setitem(
        stages.STAGES, "corpus", stages.Stage(**{**vars(stage), "packages": ("no_such_package",)})
    )
    with pytest.raises(MissingExtraError, match="pip install"):
        PipelineRun(read_recipe(write_recipe(tmp_path)), tmp_path / "run").execute()


def test_another_segmentation_table_makes_another_tokenizer(tmp_path: Path) -> None:
    table = tmp_path / "table.tsv"
    table.write_text("one\to ne\n", encoding="utf-8")
    analysers = json.dumps({"*": f"table:{table}"})
    more = (
        "tokenizer: {kind: morpheme-bpe, vocab_size: 300, allow_smaller: true, "
        f"morphemes: {{analysers: {analysers}}}}}\n"
    )
    recipe = write_recipe(tmp_path, more)

    def reason() -> str | None:
        outcomes = PipelineRun(read_recipe(recipe), tmp_path / "run").execute(until="tokenizer")
        return outcomes[-1].reason

    assert reason() == "it has not run yet"
    assert reason() is None
    table.write_text("one\ton e\n", encoding="utf-8")
    assert reason() == "its input changed: sources"
    table.unlink()
    assert reason() is None
    (tmp_path / "run" / "stages.json").unlink()
    with pytest.raises(MissingInputError, match="no such segmentation table"):
        reason()


def test_a_replacement_of_another_kind_is_refused(tmp_path: Path) -> None:
    with write_artifact(tmp_path / "tokens", "tokens"):
        pass
    more = f"use: {{corpus: {json.dumps(str(tmp_path / 'tokens'))}}}\ntokenizer: {{}}\n"
    run = PipelineRun(read_recipe(write_recipe(tmp_path, more)), tmp_path / "run")
    with pytest.raises(ArtifactKindError, match="a documents artifact is needed"):
        run.execute(until="tokenizer")


@pytest.mark.parametrize(
    ("override", "new_shards"),
    [
        ("data.weights={web: 0}", False),
        ("data.max_epochs=4", False),
        ("data.context=64", False),
        ("data.seed=7", True),
        ("data.mix_by=language", True),
    ],
)
def test_another_mixture_needs_no_new_shards(
    tmp_path: Path, override: str, new_shards: bool
) -> None:
    recipe = write_recipe(tmp_path, "data: {mix_by: source}\n")
    before, after = read_recipe(recipe).spec, read_recipe(recipe, (override,)).spec
    data, train = stages.STAGES["data"], stages.STAGES["train"]
    assert (section_values(data, before) != section_values(data, after)) == new_shards
    assert section_values(train, before) != section_values(train, after)
