"""Optional packages: imported where they are used, named with their install command if absent."""

from __future__ import annotations

import importlib
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
            hint=f"pip install 'hunmin[{extra}]'",
        ) from error
