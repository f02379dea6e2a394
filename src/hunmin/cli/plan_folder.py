"""`hunmin plan --out FOLDER`: the plan as files, all of them or none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hunmin.planner.plan import Plan
    from hunmin.planner.prediction import Prediction

_FILES = {
    *("plan.json", "plan.md"),
    *(f"{name}{suffix}" for name in ("timeline", "weak", "strong") for suffix in (".svg", ".png")),
}


def check_plan_folder(folder: Path) -> None:
    """Refuse a folder with other things in it, and plots that cannot be drawn, before any work.

    Args:
        folder: Where the plan is to be written.

    Raises:
        InputError: It has files that no plan has, or no folder can be made there.
        MissingExtraError: matplotlib is not installed.
    """
    from hunmin.core.errors import InputError
    from hunmin.core.figures import check_plotting

    check_plotting()
    if folder.resolve() == Path.cwd():
        raise InputError(
            "the folder that this runs in cannot be replaced",
            where=folder,
            hint="name a new folder, such as plans/13b",
        )
    if folder.exists() and not folder.is_dir():
        raise InputError("this is no folder", where=folder, hint="name another one with --out")
    others = sorted({path.name for path in folder.glob("*")} - _FILES) if folder.is_dir() else []
    if others:
        raise InputError(
            "there are other files in this folder, and a plan replaces it whole",
            where=folder,
            given=", ".join(others[:3]),
            hint="name a new folder with --out",
        )
    _make(folder.resolve().parent)


def _make(parent: Path) -> None:
    from hunmin.core.errors import InputError

    try:
        parent.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError as error:
        # Where no folders can be made, as in /proc, the system says that there is none.
        raise InputError(
            "no folder can be made here", where=parent, hint="name another place with --out"
        ) from error


def write_plan_folder(plan: Plan, folder: Path, command: str) -> None:
    """Write plan.json, plan.md and the pictures.

    Args:
        plan: The plan.
        folder: Replaced whole, if it is there.
        command: That made it.

    Raises:
        DiskFullError: No space was left; an older plan stays as it was.
    """
    from hunmin.core.atomic import atomic_folder
    from hunmin.planner.report.report import markdown_lines
    from hunmin.planner.report.scaling_picture import draw_scaling
    from hunmin.planner.scaling import DEFAULT_NODES, strong_scaling, weak_scaling

    best = plan.best
    nodes = sorted({*DEFAULT_NODES, best.cluster.nodes})
    scalings = (weak_scaling(best, nodes), strong_scaling(best, nodes))
    with atomic_folder(folder) as draft:
        scaling = {each.kind: each.as_dict() for each in scalings}
        text = json.dumps(plan.as_dict() | {"scaling": scaling}, indent=2, ensure_ascii=False)
        (draft / "plan.json").write_text(text + "\n", encoding="utf-8")
        lines = markdown_lines(plan, command)
        (draft / "plan.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
        _draw_step(best, _pair(draft, "timeline"))
        for each in scalings:
            title = f"{best.shape.name} on {best.cluster.name}"
            draw_scaling(each, title, _pair(draft, each.kind))


def _draw_step(best: Prediction, paths: list[Path]) -> None:
    from hunmin.planner.report.timeline_picture import draw_timeline

    title = f"{best.shape.name} on {best.cluster.nodes} x {best.cluster.name}"
    microsteps = best.strategy.microsteps
    which = "The only microstep" if microsteps == 1 else f"The last of {microsteps} microsteps"
    subtitle = f"{which} of a step, and the update; hatched: the device waits for the network"
    draw_timeline(best.step.events, title, subtitle, paths)


def _pair(folder: Path, name: str) -> list[Path]:
    return [folder / f"{name}.svg", folder / f"{name}.png"]
