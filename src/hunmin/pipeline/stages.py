"""The stages, in order: which ones a recipe asks for, and what each of them needs.

corpus ──> tokenizer ──> data ──> train ──> stage2 ──> intermediate ──> student ──> nlu ──> export
  │            │          ▲         │
  └────────────┴──────────┘         └─────> evaluate, generate
"""

from __future__ import annotations

from hunmin.pipeline.assistant_stages import ASSISTANT_STAGES
from hunmin.pipeline.model_stages import MODEL_STAGES
from hunmin.pipeline.recipe import Recipe
from hunmin.pipeline.stage import Stage
from hunmin.pipeline.text_stages import TEXT_STAGES

STAGES: dict[str, Stage] = {
    stage.name: stage for stage in (*TEXT_STAGES, *MODEL_STAGES, *ASSISTANT_STAGES)
}


def wanted_stages(recipe: Recipe, until: str | None = None) -> list[Stage]:
    """Return the stages a recipe asks for, in order.

    Args:
        recipe: The recipe; a stage is wanted when its section is there.
        until: The last stage, with all it needs; None for all.

    Returns:
        Stages, inputs before those who read them.
    """
    if until is None:
        return [s for s in STAGES.values() if getattr(recipe, s.name) is not None]
    names = _closure(recipe, until)
    return [stage for stage in STAGES.values() if stage.name in names]


def _closure(recipe: Recipe, name: str) -> set[str]:
    """Return a stage and all it needs; what is taken from another run needs nothing."""
    if getattr(recipe.use, name, None) is not None:
        return {name}
    return {name}.union(*(_closure(recipe, need) for need in STAGES[name].needs_of(recipe)))
