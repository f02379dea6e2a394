"""What sections of a recipe must agree on, checked before the first stage spends any time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from hunmin.core.errors import RecipeError
from hunmin.data.objectives.kinds import (
    OBJECTIVES_KEY,
    ModelKind,
    a_model,
    choose_objectives,
    needed_tokens,
)
from hunmin.data.spec import DataChanges
from hunmin.models.presets import kind_of_preset
from hunmin.models.spec import ModelSpec
from hunmin.tokenizer.reserved import PURPOSES
from hunmin.tokenizer.spec import TokenizerSpec

if TYPE_CHECKING:
    from hunmin.adapt.distill.spec import DistillSpec
    from hunmin.pipeline.recipe import Recipe

_STUDENTS = ("intermediate", "student")


def check_agreement(recipe: Recipe) -> None:
    """Check that models can learn their objectives and from each other.

    Args:
        recipe: A recipe whose sections are right one by one.

    Raises:
        InputError: A model of this kind cannot learn one of its objectives.
        RecipeError: The tokenizer reserves no token for one of them, or a student has more layers
            than the teacher it starts from.
    """
    _check_depths(recipe)
    if recipe.data is None:
        return
    for model, changes, where in _learners(recipe):
        kind = kind_of_preset(model.preset)
        specs = choose_objectives(changes.apply(recipe.data).objectives, kind, where=where)
        if recipe.tokenizer is not None:
            for number, purpose in needed_tokens(specs):
                _check_reserved(recipe.tokenizer, purpose, specs[number].kind, kind)


def _check_depths(recipe: Recipe) -> None:
    """A student that starts from its teacher's layers has at most as many; known before minutes."""
    teacher = _teacher_of_first_student(recipe)
    for name in _STUDENTS:
        student: DistillSpec | None = getattr(recipe, name)
        if student is None:
            continue
        own, others = student.model.num_layers, None if teacher is None else teacher.num_layers
        starts_there = student.teacher is None and student.initialization == "layers"
        if starts_there and own is not None and others is not None and own > others:
            raise RecipeError(
                "the student has more layers than the teacher it starts from",
                where=f"{name}.model",
                given=f"{own} layers, teacher {others}",
                allowed=f"up to {others} layers",
                hint=f"set {name}.model.layers, or {name}.initialization: embeddings",
            )
        teacher = student.model


def _teacher_of_first_student(recipe: Recipe) -> ModelSpec | None:
    """The recipe's own model, unless one of another run takes its place."""
    replaced = (recipe.use.train, recipe.use.stage2, recipe.use.intermediate)
    return recipe.model if all(path is None for path in replaced) else None


def _learners(recipe: Recipe) -> Iterator[tuple[ModelSpec, DataChanges, str]]:
    """Yield each model that is trained, what changes of its data, and its objectives' key."""
    same = DataChanges()
    if recipe.train is not None:
        yield recipe.model, same, OBJECTIVES_KEY
    if recipe.stage2 is not None and recipe.use.train is None:
        yield recipe.model, recipe.stage2.data, _key("stage2", recipe.stage2.data)
    for name in _STUDENTS:
        student = getattr(recipe, name)
        if student is not None:
            yield student.model, student.data, _key(name, student.data)


def _key(section: str, changes: DataChanges) -> str:
    return OBJECTIVES_KEY if changes.objectives is None else f"{section}.{OBJECTIVES_KEY}"


def _check_reserved(
    tokenizer: TokenizerSpec, purpose: str, objective: str, kind: ModelKind
) -> None:
    reserved = PURPOSES if tokenizer.reserve == "objectives" else tokenizer.reserve
    if purpose not in reserved:
        raise RecipeError(
            f"{a_model(kind)} that learns `{objective}` needs tokens that the tokenizer lacks",
            where="tokenizer.reserve",
            given=f"[{', '.join(reserved)}]",
            allowed=f"a list with {purpose}",
            hint=f"set tokenizer.reserve: [{', '.join((*reserved, purpose))}]; a tokenizer that is "
            "made cannot get them later",
        )
