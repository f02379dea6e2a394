"""YAML with the 1.2 rules, and the place of every value.

PyYAML follows YAML 1.1, where `lang: no` is False, `3e-4` is a string and `12:30:00` is a number.
Here only null, true/false, whole numbers and decimal numbers are special, and a key that stands
twice is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hunmin.core.errors import RecipeError

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True)
class Place:
    """Where a value was written."""

    source: str
    line: int | None = None

    def __str__(self) -> str:
        """`file:line`, or the name of another origin."""
        return self.source if self.line is None else f"{self.source}:{self.line}"


class Yaml12Loader(yaml.SafeLoader):
    """SafeLoader with the core schema of YAML 1.2."""


_RESOLVERS = (
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9][0-9_]*", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        "-+0123456789.",
    ),
)
Yaml12Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in _RESOLVERS:
    Yaml12Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}",
        re.compile(f"^(?:{_pattern})$"),
        ["" if letter == "\0" else letter for letter in _first],
    )


def _construct_decimal_int(loader: Yaml12Loader, node: yaml.ScalarNode) -> int:
    return int(str(loader.construct_scalar(node)).replace("_", ""))


Yaml12Loader.add_constructor("tag:yaml.org,2002:int", _construct_decimal_int)


def parse_yaml(text: str, source: str) -> tuple[Any, dict[KeyPath, Place]]:
    """Parse one document.

    Args:
        text: YAML text.
        source: Its name for messages, a file name or "command line".

    Returns:
        The value, and the place of every key and list item by path.

    Raises:
        RecipeError: The text is not YAML, or a key stands twice.
    """
    try:
        loader = Yaml12Loader(text)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise RecipeError(
            "this is not valid YAML: a character that no text file holds",
            where=str(Place(source, line)),
            given=f"U+{ord(text[error.position]):04X}",
        ) from error
    try:
        node = loader.get_single_node()
        if node is None:
            return None, {}
        places: dict[KeyPath, Place] = {}
        _collect_places(node, (), source, places)
        return loader.construct_document(node), places
    except yaml.YAMLError as error:
        raise _syntax_error(error, source) from error
    finally:
        loader.dispose()


def _syntax_error(error: yaml.YAMLError, source: str) -> RecipeError:
    mark = getattr(error, "problem_mark", None)
    place = Place(source, mark.line + 1) if mark is not None else Place(source)
    problem = getattr(error, "problem", None) or str(error)
    return RecipeError(f"this is not valid YAML: {problem}", where=str(place))


def _collect_places(
    node: yaml.Node, path: KeyPath, source: str, places: dict[KeyPath, Place]
) -> None:
    places.setdefault(path, Place(source, node.start_mark.line + 1))
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            child = (*path, str(key_node.value))
            if child in places:
                raise RecipeError(
                    f"the key '{key_node.value}' stands twice",
                    where=f"{source}:{key_node.start_mark.line + 1}",
                    given=f"first in line {places[child].line}",
                    hint="keep one of them",
                )
            places[child] = Place(source, key_node.start_mark.line + 1)
            _collect_places(value_node, child, source, places)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _collect_places(item, (*path, index), source, places)


def read_yaml(path: Path) -> tuple[Any, dict[KeyPath, Place]]:
    """Parse a UTF-8 file; see `parse_yaml`."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise RecipeError(
            "the recipe is not UTF-8 text",
            where=path,
            given=f"byte {error.object[error.start]:#04x} at offset {error.start}",
            hint="save the file as UTF-8",
        ) from error
    return parse_yaml(text, str(path))
