"""What a run would do: every value, where it came from, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hunmin.core.artifact import Artifact, load_artifact
from hunmin.core.errors import HunminError, InputError
from hunmin.core.recipe import LoadedRecipe
from hunmin.core.units import format_count
from hunmin.core.yaml12 import KeyPath
from hunmin.data.spec import DataSpec
from hunmin.data.tokens import TokensFacts, read_facts
from hunmin.pipeline.recipe import Recipe
from hunmin.pipeline.stages import STAGES, wanted_stages
from hunmin.training.spec import TrainSpec

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

_ANY_PAD_ID = 1


@dataclass(frozen=True)
class PlannedValue:
    """One value of the plan.

    Args:
        key: Dotted key.
        value: The value.
        origin: `file:line`, "command line", "default" or "derived".
    """

    key: str
    value: Any
    origin: str


def plan_run(
    loaded: LoadedRecipe[Recipe], folder: Path, until: str | None = None
) -> list[PlannedValue]:
    """Return every value of a recipe with its origin, and what follows from them.

    Args:
        loaded: The recipe.
        folder: The run folder; artifacts there make more values known.
        until: The last stage; None for all.

    Returns:
        Values in the order of the recipe; derived ones last.
    """
    recipe = loaded.spec
    wanted = {stage.name for stage in wanted_stages(recipe, until)}
    builds_model = "train" in wanted or ("model" in recipe.model_fields_set and until is None)
    shown = {"name", "description", "use", *wanted} | ({"model"} if builds_model else set())
    dump = recipe.model_dump(mode="json")
    values = [
        PlannedValue(".".join(map(str, key)), value, _origin(loaded, key))
        for key, value in _leaves({name: dump[name] for name in dump if name in shown}, ())
    ]
    if not builds_model or util.find_spec("transformers") is None:
        return values
    return values + list(_derived(recipe, folder))


def _leaves(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    if isinstance(value, dict) and value:
        for key, child in value.items():
            yield from _leaves(child, (*path, key))
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for index, child in enumerate(value):
            yield from _leaves(child, (*path, index))
    else:
        yield path, value


def _origin(loaded: LoadedRecipe[Recipe], key: KeyPath) -> str:
    """Return the origin of a leaf; a list or block given whole is where its leaves come from."""
    for length in range(len(key), 0, -1):
        if key[:length] in loaded.origins:
            is_leaf = length == len(key)
            given_whole = str(loaded.origins[key[:length]]) == "command line"
            return str(loaded.origins[key[:length]]) if is_leaf or given_whole else "default"
    return "default"


def _derived(recipe: Recipe, folder: Path) -> Iterator[PlannedValue]:
    from hunmin.models.build import count_parameters, model_config

    context = None if recipe.data is None else recipe.data.context
    config = model_config(
        recipe.model,
        vocab_size=_vocab_size(recipe, folder),
        context=context,
        # Which id pads changes no count; some encoders cannot be described without one.
        pad_id=_ANY_PAD_ID,
    )
    counts = count_parameters(config)
    yield _derive("model.vocabulary", config.vocab_size)
    yield _derive("model.positions", config.max_position_embeddings)
    yield _derive("model.parameters", format_count(counts.total))
    yield _derive("model.parameters_without_embeddings", format_count(counts.non_embedding))
    if recipe.data is None or recipe.train is None:
        return
    yield from _derived_memory(config, recipe, recipe.train, context=recipe.data.context)
    tokens = _existing(folder, recipe, "data")
    if tokens is None:
        yield _derive("train.plan", "known when the data stage has counted the tokens")
        return
    yield from _derived_from_tokens(recipe.data, recipe.train, tokens)


def _derived_memory(
    config: PreTrainedConfig, recipe: Recipe, train: TrainSpec, *, context: int
) -> Iterator[PlannedValue]:
    from hunmin.pipeline.dry_run_memory import find_gpu_memory, plan_memory

    facts = plan_memory(
        config, train, recipe.parallel, context=context, gpu_memory=find_gpu_memory()
    )
    for key, value in facts:
        yield _derive(key, value)


def _derived_from_tokens(
    data: DataSpec, train: TrainSpec, tokens: Artifact
) -> Iterator[PlannedValue]:
    from hunmin.training.plan import derive_plan

    facts = read_facts(tokens)
    train_tokens = facts.splits["train"].tokens
    plan = derive_plan(train, context=data.context, train_tokens=train_tokens)
    for name, value in plan.model_dump().items():
        yield _derive(f"train.{name}", value)
    yield from _derived_mixture(data, facts, plan.total_tokens)


def _derived_mixture(data: DataSpec, facts: TokensFacts, run_tokens: int) -> Iterator[PlannedValue]:
    from hunmin.data.mixing import describe_group, mix_split, repetition_warning

    try:
        mixture = mix_split(facts, facts.splits["train"], data, run_tokens)
    except InputError as error:
        # These tokens may be of an earlier recipe: the run itself says so if they are not.
        yield _derive("mixture", f"not known from the tokens there are: {error.problem}")
        return
    for group in mixture.groups:
        _, size, share, epochs = describe_group(group)
        text = f"{size} tokens, {share} of the samples, {epochs} epochs"
        yield _derive(f"mixture.{group.name}", text)
    warning = repetition_warning(mixture, data)
    if warning is not None:
        yield _derive("mixture.warning", warning)


def _derive(key: str, value: Any) -> PlannedValue:
    return PlannedValue(key, value, "derived")


def _vocab_size(recipe: Recipe, folder: Path) -> int | None:
    tokenizer = _existing(folder, recipe, "tokenizer")
    if tokenizer is not None:
        return int(tokenizer.facts["vocab_size"])
    return recipe.tokenizer.vocab_size if recipe.tokenizer is not None else None


def _existing(folder: Path, recipe: Recipe, name: str) -> Artifact | None:
    path = getattr(recipe.use, name) or folder / STAGES[name].folder
    try:
        return load_artifact(path, STAGES[name].kind, verify=False)
    except HunminError:
        return None
