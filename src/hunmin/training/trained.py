"""What a run trains: a model, and what its objective learns beside it.

objective ─┬─ model            trained, saved in checkpoints, exported
           └─ all the rest     trained, saved in checkpoints, thrown away at the end
"""

from __future__ import annotations

from torch import nn

from hunmin.core.errors import StageFailedError


def parameters_beside(model: nn.Module, objective: nn.Module) -> dict[str, nn.Parameter]:
    """Return what an objective trains besides its model.

    Args:
        model: The model.
        objective: The module around it.

    Returns:
        Parameters by their names in the objective.

    Raises:
        StageFailedError: A part of the objective has the name of a part of the model.
    """
    own = {id(parameter) for parameter in model.parameters()}
    beside = {n: p for n, p in objective.named_parameters() if id(p) not in own}
    _refuse_same_names(model, beside)
    return beside


def trained_module(model: nn.Module, objective: nn.Module) -> nn.Module:
    """Return what a checkpoint holds, as one module.

    Args:
        model: The model; its parts keep the names they have in it.
        objective: The module around it; its other parts keep the names they have there.

    Returns:
        The model itself if nothing is learned beside it, else a module that shares the parts of
        both. Ask again after parameters were replaced, as sharding does.

    Raises:
        StageFailedError: A part of the objective has the name of a part of the model.
    """
    if not parameters_beside(model, objective):
        return model
    together = nn.Module()
    for holder in (model, objective):
        for name, child in holder.named_children():
            if child is not model:
                together.add_module(name, child)
        for name, parameter in holder.named_parameters(recurse=False):
            together.register_parameter(name, parameter)
        for name, buffer in holder.named_buffers(recurse=False):
            is_saved = name not in holder._non_persistent_buffers_set
            together.register_buffer(name, buffer, persistent=is_saved)
    return together


def _refuse_same_names(model: nn.Module, beside: dict[str, nn.Parameter]) -> None:
    """A checkpoint has one name for each tensor."""
    taken = {name.partition(".")[0] for name, _ in model.named_parameters()}
    same = [name for name in beside if name.partition(".")[0] in taken]
    if same:
        raise StageFailedError(
            "what is learned beside the model would have the name of a part of it in checkpoints",
            where=same[0],
            allowed=f"any name but {', '.join(sorted(taken))}",
            hint="give the attribute of the objective another name",
        )
