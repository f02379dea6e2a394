"""The folders of a run's checkpoints, one for each step, as one process sees them."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from hunmin.core.atomic import recover_folder


@dataclass(frozen=True)
class StepFolders:
    """Folders named step-00000400 below a path.

    Args:
        path: Where they lie.
    """

    path: Path

    def of(self, step: int) -> Path:
        """Return the folder of a step."""
        return self.path / f"step-{step:08d}"

    def steps(self) -> list[int]:
        """Return the steps that have a folder, oldest first."""
        names = [f.name for f in self.path.iterdir()] if self.path.is_dir() else []
        return sorted(int(name[5:]) for name in names if re.fullmatch(r"step-\d{8}", name))

    def recover(self) -> None:
        """Finish or undo replacements that a kill interrupted."""
        for aside in self.path.glob(".step-*.old") if self.path.is_dir() else ():
            recover_folder(aside.with_name(aside.name[1 : -len(".old")]))

    def delete(self, step: int) -> None:
        """Delete the folder of a step; without its name first, so that a kill leaves no half."""
        dying = self.path / f".step-{step:08d}.tmp-deleted"
        shutil.rmtree(dying, ignore_errors=True)
        self.of(step).rename(dying)
        shutil.rmtree(dying)

    def remove_drafts(self) -> None:
        """Take away what killed processes left, before the first checkpoint of this one."""
        for draft in self.path.glob(".step-*.tmp-*"):
            shutil.rmtree(draft, ignore_errors=True)
