"""How sure a classifier must be of each language."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from hunmin.core.errors import InputError, MissingInputError
from hunmin.core.yaml12 import parse_yaml
from hunmin.text.languages import UNDETERMINED, base_language, normalize_tag

DEFAULT_THRESHOLD = 0.5


@dataclass(frozen=True)
class Thresholds:
    """The lowest scores at which a guess is accepted.

    Args:
        default: For languages without one of their own, in [0, 1].
        by_language: By canonical tag; that of a base language holds for its scripts and regions.

    Raises:
        InputError: A threshold outside [0, 1], or a key that is no language tag.
    """

    default: float = DEFAULT_THRESHOLD
    by_language: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in {"default": self.default, **self.by_language}.items():
            if not _is_share(value):
                raise InputError(
                    f"the language threshold of '{name}' is not a share",
                    given=repr(value),
                    allowed="a number from 0 (accept all) to 1",
                )
        canonical = {normalize_tag(tag): value for tag, value in self.by_language.items()}
        object.__setattr__(self, "by_language", canonical)

    def of(self, language: str) -> float:
        """Return the threshold of a canonical tag; above 1 for `und`, which is never accepted."""
        if language == UNDETERMINED:
            return float("inf")
        base = self.by_language.get(base_language(language), self.default)
        return self.by_language.get(language, base)

    def override(self, changes: Mapping[str, float]) -> Thresholds:
        """Return the thresholds with some replaced.

        Args:
            changes: By language tag; `default` for all that have none of their own.

        Returns:
            New thresholds.

        Raises:
            InputError: A threshold outside [0, 1], or a key that is no language tag.
        """
        by_language = {tag: value for tag, value in changes.items() if tag != "default"}
        default = changes.get("default", self.default)
        own = {normalize_tag(tag): value for tag, value in by_language.items()}
        return Thresholds(default, {**self.by_language, **own})


def _is_share(value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 0 <= float(str(value)) <= 1


def load_thresholds(classifier: str, path: Path | None = None) -> Thresholds:
    """Return the thresholds of a classifier.

    Args:
        classifier: Its name.
        path: A YAML file: classifier -> language -> threshold, `default` among the languages;
            None for the file that comes with the package.

    Returns:
        Its thresholds; 0.5 for all languages if the file does not name the classifier.

    Raises:
        MissingInputError: There is no such file.
        RecipeError: It is not YAML.
        InputError: It has another shape, or a threshold is not a share.
    """
    table = _shipped() if path is None else _read(path)
    entry = table.get(classifier, {})
    if not isinstance(entry, dict):
        raise _wrong_shape(path, entry)
    return Thresholds().override(entry)


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise MissingInputError("there is no file of language thresholds here", where=path)
    content, _ = parse_yaml(path.read_text("utf-8"), str(path))
    if not isinstance(content, dict):
        raise _wrong_shape(path, content)
    return content


@functools.cache
def _shipped() -> dict[str, Any]:
    source = resources.files("hunmin.text.identification").joinpath("data/thresholds.yaml")
    content, _ = parse_yaml(source.read_text("utf-8"), "thresholds.yaml")
    return dict(content)


def _wrong_shape(path: Path | None, given: object) -> InputError:
    return InputError(
        "this is not a table of language thresholds",
        where=path,
        given=repr(given),
        allowed="classifier: {default: 0.5, sw: 0.8}",
    )
