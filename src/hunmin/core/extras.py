"""Optional packages: imported where they are used, named with their install command if absent."""

from __future__ import annotations

import importlib
import shlex
import sys
from pathlib import Path
from types import ModuleType

from hunmin.core.errors import MissingExtraError


def require(module: str, *, extra: str) -> ModuleType:
    """Import an optional module.

    Args:
        module: Dotted name of the module.
        extra: The extra of hunmin that installs it.

    Returns:
        The imported module.

    Raises:
        MissingExtraError: The package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != module.split(".")[0]:
            raise
        raise MissingExtraError(
            f"the package '{module.split('.')[0]}' is needed here and not installed",
            hint=install_command(extra),
        ) from error


def install_command(extra: str) -> str:
    """Return the command that installs an extra into the running Python.

    Args:
        extra: Name of the extra; empty for hunmin itself.

    Returns:
        A shell command: from the checkout when hunmin runs from one, else from the index.
    """
    wanted = f"[{extra}]" if extra else ""
    pip = f"{shlex.quote(sys.executable)} -m pip install"
    checkout = _checkout()
    if checkout is None:
        return f"{pip} {shlex.quote(f'hunmin{wanted}')}"
    constraints = shlex.quote(str(checkout / "constraints" / "development.txt"))
    return f"{pip} -c {constraints} -e {shlex.quote(f'{checkout}{wanted}')}"


def _checkout() -> Path | None:
    root = Path(__file__).resolve().parents[3]
    return root if (root / "constraints" / "development.txt").is_file() else None
