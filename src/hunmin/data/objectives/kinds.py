"""Which models can learn which objectives, and the special tokens they need. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Literal

from hunmin.core.errors import InputError
from hunmin.data.objectives.spec import (
    ALEXATM_MIXTURE,
    CausalSpec,
    InfillSpec,
    MaskedSpec,
    ObjectiveSpec,
)
from hunmin.tokenizer.reserved import Purpose

OBJECTIVES_KEY = "data.objectives"
ModelKind = Literal["encoder", "decoder", "encoder-decoder"]
KINDS: Mapping[ModelKind, tuple[str, ...]] = MappingProxyType(
    {
        "encoder": ("masked",),
        "decoder": ("causal", "prefix"),
        "encoder-decoder": ("denoise", "continue", "infill", "spans", "deshuffle", "prefix"),
    }
)
_USUAL: Mapping[ModelKind, tuple[ObjectiveSpec, ...]] = MappingProxyType(
    {
        "encoder": (MaskedSpec(),),
        "decoder": (CausalSpec(),),
        "encoder-decoder": ALEXATM_MIXTURE,
    }
)
_PURPOSES: Mapping[str, Purpose] = MappingProxyType(
    {"masked": "mask", "infill": "mask", "spans": "spans", "continue": "continue"}
)


def a_model(kind: ModelKind) -> str:
    """Return a kind of model with its article, for messages."""
    return f"a {kind}" if kind == "decoder" else f"an {kind}"


def choose_objectives(
    specs: Sequence[ObjectiveSpec] | None, model: ModelKind, *, where: str = OBJECTIVES_KEY
) -> tuple[ObjectiveSpec, ...]:
    """Return the objectives of a recipe, or the usual ones of the model.

    Args:
        specs: What the recipe says; None for nothing.
        model: What the model is.
        where: The key of the recipe that says it.

    Returns:
        At least one, all of which the model can learn.

    Raises:
        InputError: A model of this kind cannot learn one of them.
    """
    chosen = tuple(specs) if specs else _USUAL[model]
    for number, spec in enumerate(chosen):
        if spec.kind not in KINDS[model]:
            models = [a_model(other) for other, kinds in KINDS.items() if spec.kind in kinds]
            raise InputError(
                f"{a_model(model)} cannot learn this objective",
                where=f"{where}.{number}.kind",
                given=spec.kind,
                allowed=", ".join(KINDS[model]),
                hint=f"{spec.kind} is for {' and '.join(models)}; change objective or model",
            )
    return chosen


def needed_tokens(specs: Sequence[ObjectiveSpec]) -> Iterator[tuple[int, Purpose]]:
    """Yield the number of each objective and the special tokens that it puts in.

    Args:
        specs: The objectives.

    Yields:
        Number in `specs`, and what has to be reserved for it.
    """
    for number, spec in enumerate(specs):
        if spec.kind in _PURPOSES:
            yield number, _PURPOSES[spec.kind]
        if isinstance(spec, InfillSpec) and spec.language_tokens:
            yield number, "languages"
