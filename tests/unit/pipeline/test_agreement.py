"""Sections of a recipe that do not fit together are told before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from hunmin.core.errors import InputError, RecipeError
from hunmin.pipeline.recipe import read_recipe

ENCODER = """
name: encoder
tokenizer: {reserve: [mask]}
data: {}
model: {preset: hunmin-encoder}
train: {}
stage2: {train: {}}
student: {model: {preset: hunmin-encoder, size: 1M}}
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(ENCODER, encoding="utf-8")
    return path


def test_a_recipe_that_fits_is_read(recipe: Path) -> None:
    assert read_recipe(recipe).spec.model.preset == "hunmin-encoder"
    # Whose tokenizer is made elsewhere, and who trains nothing, is not asked.
    assert read_recipe(recipe, ("tokenizer=null",)).spec.tokenizer is None
    without = ("tokenizer.reserve=[]", "train=null", "stage2=null", "student=null")
    assert read_recipe(recipe, without).spec.train is None


@pytest.mark.parametrize(
    ("changes", "needed"),
    [
        (("tokenizer.reserve=[continue]",), "mask"),
        (("model.preset=hunmin-seq2seq", "student=null"), "continue"),
        (
            ("model.preset=hunmin-seq2seq", "student=null", "data.objectives=[{kind: spans}]"),
            "spans",
        ),
        (
            (
                "model.preset=hunmin-seq2seq",
                "student=null",
                "data.objectives=[{kind: infill, language_tokens: true}]",
            ),
            "languages",
        ),
    ],
)
def test_tokens_have_to_be_reserved(recipe: Path, changes: tuple[str, ...], needed: str) -> None:
    with pytest.raises(RecipeError, match="needs tokens that the tokenizer lacks") as error:
        read_recipe(recipe, changes)
    assert error.value.allowed == f"a list with {needed}"
    assert read_recipe(recipe, (*changes, "tokenizer.reserve=objectives")).spec.tokenizer


@pytest.mark.parametrize(
    ("change", "where", "message"),
    [
        ("data.objectives=[{kind: causal}]", "data.objectives.0.kind", "an encoder cannot learn"),
        (
            "stage2.data.objectives=[{kind: masked}, {kind: spans}]",
            "stage2.data.objectives.1.kind",
            "an encoder cannot learn",
        ),
        ("student.model.preset=hunmin", "student.data.objectives.0.kind", "a decoder cannot learn"),
    ],
)
def test_a_model_is_given_what_it_can_learn(
    recipe: Path, change: str, where: str, message: str
) -> None:
    named = ("student.data.objectives=[{kind: masked}]",) if "student" in change else ()
    with pytest.raises(InputError, match=message) as error:
        read_recipe(recipe, (*named, change))
    assert error.value.where == where


def test_a_student_is_not_deeper_than_the_teacher_it_starts_from(recipe: Path) -> None:
    # By the dial 2M is 5 layers of 192, and 5M 4 layers of 320.
    deeper = "student.model.size=2M"
    with pytest.raises(RecipeError, match="more layers than the teacher") as error:
        read_recipe(recipe, (deeper,))
    assert (error.value.where, error.value.given) == ("student.model", "5 layers, teacher 4")
    between = ("intermediate={model: {preset: hunmin-encoder, layers: 1, width: 64}}",)
    with pytest.raises(RecipeError, match="2 layers, teacher 1"):
        read_recipe(recipe, between)
    for change in (
        "student.model.layers=4",
        "student.initialization=embeddings",
        "student.teacher=elsewhere",
        "use.train=elsewhere",
    ):
        assert read_recipe(recipe, (deeper, change)).spec.student
