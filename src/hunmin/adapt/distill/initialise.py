"""A student that begins as a part of its teacher.

layers       layers of the teacher, rows and columns of its matrices where the student is narrower
embeddings   its embeddings alone, turned to their main directions where the student is narrower
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from hunmin.adapt.distill.layers import LayerChoice, layer_map
from hunmin.core.errors import ArtifactMismatchError, InputError
from hunmin.models.pieces import held_part, held_pieces

Initialization = Literal["layers", "embeddings", "scratch"]
_NUMBERED = re.compile(r"(.*?)\.(\d+)\.(.*)")


@dataclass(frozen=True)
class InitialFacts:
    """What a student begins with.

    Args:
        copied: Parameters (numbers) that come from the teacher.
        total: Parameters of the student.
        layers: For each stack of layers, which of the teacher's were taken, from 0.
    """

    copied: int
    total: int
    layers: Mapping[str, list[int]]


@torch.no_grad()
def initialise_from_teacher(
    student: PreTrainedModel,
    teacher: PreTrainedModel,
    method: Initialization = "layers",
    layers: LayerChoice = "uniform",
) -> InitialFacts:
    """Fill a student with what it can take from its teacher, in place.

    Args:
        student: With fresh weights; whole, or sharded: each rank fills its own part.
        teacher: Whole.
        method: What is taken; "scratch" takes nothing.
        layers: Which layers, if the student has fewer.

    Returns:
        What was taken.

    Raises:
        ArtifactMismatchError: The architectures differ, or the student is wider or deeper.

    Note:
        Rows of the vocabulary and positions keep their meaning: the first ones are taken. Of other
        dimensions those at floor(i * wide / narrow) are, alike in all matrices, so that heads,
        fused matrices and what writes to what still fit.

    Source:
        Sanh et al. 2019, DistilBERT (arXiv:1910.01108) for layers; Xu et al. 2024, weight
        selection (arXiv:2311.18823) for narrower students.
    """
    total = sum(p.numel() for p in student.parameters())
    if method == "scratch":
        return InitialFacts(0, total, {})
    if method == "embeddings":
        return InitialFacts(_take_embeddings(student, teacher), total, {})
    _check_architecture(student, teacher)
    stacks = _stacks(student, teacher, layers)
    theirs = dict(teacher.named_parameters())
    tables = _tables(student)
    copied = 0
    for name, parameter in student.named_parameters():
        source = theirs.get(_teacher_name(name, stacks))
        if source is None:
            raise _misfit(name, "no such parameter in the teacher")
        copied += _write(parameter, _select(source, parameter, name, id(parameter) in tables))
    return InitialFacts(copied, total, stacks)


def _check_architecture(student: PreTrainedModel, teacher: PreTrainedModel) -> None:
    if type(student) is not type(teacher):
        raise ArtifactMismatchError(
            "layers can be taken from a teacher of the same architecture only",
            where="student.initialization",
            given=f"{type(student).__name__}, teacher {type(teacher).__name__}",
            allowed=type(teacher).__name__,
            hint="choose the student's model.preset to match, or initialization: embeddings",
        )


def _stacks(
    student: PreTrainedModel, teacher: PreTrainedModel, choice: LayerChoice
) -> dict[str, list[int]]:
    depths, own = _depths(teacher), _depths(student)
    return {stack: layer_map(depth, depths.get(stack, 0), choice) for stack, depth in own.items()}


def _depths(model: nn.Module) -> dict[str, int]:
    """Return the number of layers of each stack by its path."""
    depths: dict[str, int] = {}
    for name, _ in model.named_parameters():
        if found := _NUMBERED.fullmatch(name):
            depths[found[1]] = max(depths.get(found[1], 0), int(found[2]) + 1)
    return depths


def _teacher_name(name: str, stacks: Mapping[str, list[int]]) -> str:
    found = _NUMBERED.fullmatch(name)
    if not found:
        return name
    return f"{found[1]}.{stacks[found[1]][int(found[2])]}.{found[3]}"


def _tables(model: PreTrainedModel) -> set[int]:
    """Parameters whose rows stand for pieces or positions."""
    modules: list[nn.Module | None] = [m for m in model.modules() if isinstance(m, nn.Embedding)]
    modules.append(model.get_output_embeddings())
    found = {id(p) for m in modules if m is not None for p in m.parameters(recurse=False)}
    # Encoders keep the bias of the output beside its matrix.
    size = model.get_input_embeddings().weight.shape[0]
    return found | {id(p) for p in model.parameters() if p.ndim == 1 and p.shape[0] == size}


def _select(source: Tensor, target: Tensor, name: str, is_table: bool) -> Tensor:
    """Return rows and columns of the teacher's tensor; a table may have fewer rows than asked."""
    if source.ndim != target.ndim:
        raise _misfit(name, f"shape {tuple(target.shape)}, teacher {tuple(source.shape)}")
    chosen = source.detach()
    for dim, (wanted, there) in enumerate(zip(target.shape, source.shape, strict=True)):
        if is_table and dim == 0:
            chosen = chosen[:wanted]
        elif wanted > there:
            raise _misfit(name, f"shape {tuple(target.shape)}, teacher {tuple(source.shape)}")
        elif wanted < there:
            index = torch.arange(wanted, device=source.device) * there // wanted
            chosen = chosen.index_select(dim, index)
    return chosen


def _misfit(name: str, given: str) -> ArtifactMismatchError:
    return ArtifactMismatchError(
        "a part of the student cannot be taken from its teacher",
        where=name,
        given=given,
        allowed="a student that is nowhere wider or deeper, of the same kind",
        hint="make the student smaller, or set student.initialization to embeddings or scratch",
    )


def _write(target: Tensor, rows: Tensor) -> int:
    """Write the first rows of a parameter as far as this process holds them; return how many."""
    part = held_part(target)
    for piece in held_pieces(target):
        start = piece.whole[0].start
        stop = min(piece.whole[0].stop, len(rows))
        if start < stop:
            first = piece.part[0].start
            place = (slice(first, first + stop - start), *piece.part[1:])
            part[place].copy_(rows[(slice(start, stop), *piece.whole[1:])])
    return rows.numel()


def _take_embeddings(student: PreTrainedModel, teacher: PreTrainedModel) -> int:
    mine, theirs = _matrices(student), _matrices(teacher)
    width, wide = mine[0].shape[1], theirs[0].shape[1]
    if width > wide:
        raise _misfit("embeddings", f"width {width}, teacher {wide}")
    turn = None if width == wide else _main_directions(theirs[0], width)
    spread = _spread(student)
    copied = 0
    for target, source in zip(mine, theirs, strict=False):
        rows = source.detach()[: target.shape[0]]
        if turn is not None:
            rows = rows.float() @ turn
            rows *= spread / rows.square().mean().sqrt().clamp(min=1e-12)
        copied += _write(target, rows)
    return copied


def _matrices(model: PreTrainedModel) -> list[Tensor]:
    """Return input and output embeddings; one if they are tied."""
    output = model.get_output_embeddings()
    tables = [model.get_input_embeddings().weight, None if output is None else output.weight]
    return list({id(table): table for table in tables if table is not None}.values())


def _main_directions(table_VD: Tensor, width: int) -> Tensor:
    """Return the first right singular vectors of a table, shape (D, width), signs fixed."""
    table = table_VD.detach().double()
    _, vectors = torch.linalg.eigh(table.t() @ table)
    main = vectors.flip(1)[:, :width]
    largest = main.gather(0, main.abs().argmax(0, keepdim=True))
    turned: Tensor = (main * largest.sign()).float()
    return turned


def _spread(model: PreTrainedModel) -> float:
    config = model.config
    spread = getattr(config, "initializer_range", None) or getattr(config, "init_std", None)
    if not spread:
        raise InputError(
            "the size of fresh embeddings is unknown",
            given=type(model).__name__,
            allowed="a configuration with initializer_range or init_std",
            hint="set student.initialization: scratch",
        )
    return float(spread)
