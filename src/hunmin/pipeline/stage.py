"""Stage: one step of a recipe, what it reads and writes, and what decides its result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from hunmin.core.artifact import Artifact
from hunmin.core.errors import RecipeError
from hunmin.core.spec import Spec
from hunmin.pipeline.recipe import Recipe

Section = TypeVar("Section", bound=Spec)

TEXT_LAYERS = ("core", "text")
MODEL_LAYERS = (*TEXT_LAYERS, "tokenizer", "data", "models")
TRAINING_LAYERS = (*MODEL_LAYERS, "parallel", "training")
MODEL_PACKAGES = ("torch", "transformers", "safetensors")


@dataclass(frozen=True)
class StageContext:
    """What a stage is given.

    Args:
        recipe: The whole recipe.
        folder: The run folder.
        inputs: Artifacts of the stages it needs, by stage name.
        output: Where its artifact goes.
        record: The sections that decide its result, for the manifest.
        model: Of a stage that works on a model: the one that comes before it in the recipe.
    """

    recipe: Recipe
    folder: Path
    inputs: Mapping[str, Artifact]
    output: Path
    record: dict[str, Any]
    model: Artifact | None = None

    def require_model(self) -> Artifact:
        """Return the model that comes before this stage."""
        if self.model is None:
            raise RecipeError("the stage has no model to work on", hint="add a section `train:`")
        return self.model


@dataclass(frozen=True)
class Stage:
    """One step from raw text to an assistant.

    Args:
        name: Its name, also its verb and its recipe section.
        kind: Kind of the artifact it writes.
        folder: Where in the run folder the artifact lies.
        needs: Stages whose artifacts it reads.
        sections: Recipe sections that decide its result.
        layers: Folders of hunmin whose code decides its result.
        run: Does the work.
        follows: Stages that make a model, in order; it also reads that of the last one the recipe
            has: a student learns from the teacher's second stage if there is one, else from the
            first.
        own_model: Returns the model that the recipe's section names itself, instead of an earlier
            stage's.
        outside: Describes inputs that are not artifacts, such as the user's files.
        packages: Packages of the extra `train` that it cannot do without.
        only: Keys that decide its result, by section; all keys of a section that is not here.
        runs_on_all_ranks: Whether every process that torchrun started takes part; else the first
            one does the work and the others wait.
    """

    name: str
    kind: str
    folder: str
    needs: tuple[str, ...]
    sections: tuple[str, ...]
    layers: tuple[str, ...]
    run: Callable[[StageContext], Artifact]
    follows: tuple[str, ...] = ()
    own_model: Callable[[Recipe], Path | None] | None = None
    outside: Callable[[Recipe], Any] | None = None
    packages: tuple[str, ...] = ()
    only: Mapping[str, frozenset[str]] = field(default_factory=dict)
    runs_on_all_ranks: bool = False

    def model_stage(self, recipe: Recipe) -> str | None:
        """Return the stage whose model this one works on; None if there is no such stage."""
        if self.own_model is not None and self.own_model(recipe) is not None:
            return None
        present = [name for name in self.follows if recipe.has(name)] or self.follows[:1]
        return present[-1] if present else None

    def needs_of(self, recipe: Recipe) -> tuple[str, ...]:
        """Return all stages whose artifacts it reads in this recipe."""
        before = self.model_stage(recipe)
        return self.needs if before is None else (*self.needs, before)


def require_section(section: Section | None, name: str) -> Section:
    """Return a recipe section, or say that the recipe lacks it."""
    if section is None:
        raise RecipeError(
            f"the recipe has no section '{name}'",
            hint=f"add a section `{name}:`; the recipe reference in docs/ lists its keys",
        )
    return section
