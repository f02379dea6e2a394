"""Values in nested objects: dotted paths, lists that fan out, texts built from several fields."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from hunmin.corpus.sources.spec import FieldNames

_Names = tuple[str, ...]
_PLACEHOLDER = re.compile(r"\{([^{}]+)\}")
_ABSENT = object()
_MAX_DEPTH_SHOWN = 5


def named_fields(fields: FieldNames) -> list[str]:
    """Return every field that a mapping names, those of the text first, each once."""
    single = (fields.id, fields.language, fields.license, fields.group)
    names = [*text_fields(fields), *(name for name in single if name is not None), *fields.meta]
    return list(dict.fromkeys(names))


def text_fields(fields: FieldNames) -> tuple[str, ...]:
    """Return the fields that make the text, one or those of the pattern."""
    return tuple(_PLACEHOLDER.findall(fields.text)) or (fields.text,)


def is_pattern(fields: FieldNames) -> bool:
    """Say whether the text is built from several fields."""
    return _PLACEHOLDER.search(fields.text) is not None


def fill_pattern(fields: FieldNames, values: Mapping[str, Any]) -> str | None:
    """Build the text from its pattern; a field that is absent or null is left empty.

    Args:
        fields: Their `text` is a pattern.
        values: Field -> value.

    Returns:
        The text without blanks around it; None if all its fields are absent or null.
    """
    parts = {name: values.get(name) for name in text_fields(fields)}
    if all(value is None for value in parts.values()):
        return None
    filled = {name: "" if value is None else str(value) for name, value in parts.items()}
    return _PLACEHOLDER.sub(lambda match: filled[match[1]], fields.text).strip()


class Fanned(NamedTuple):
    """One document of a nested object."""

    values: dict[str, Any]
    """Field as the mapping names it -> value; absent fields are left out."""
    suffix: str
    """What to add to the document's key so that it is unique within the object."""


class _Branch(NamedTuple):
    chain: list[Any]
    """The values met on the way: chain[n] after n names."""
    fan_depth: int
    """Names before the last list on the way; -1 without a list."""


class NestedFields:
    """Flattens objects to the fields that a mapping names.

    Args:
        fields: The mapping. A dotted path that is no key of the object itself leads into it.
    """

    def __init__(self, fields: FieldNames) -> None:
        self._names = named_fields(fields)
        self._leader, self._id = text_fields(fields)[0], fields.id
        self.is_flat = not any("." in name for name in self._names)

    def documents(self, value: Any) -> Iterator[Fanned]:
        """Yield the documents of an object; each member of a list on the text's way is one."""
        is_flat = self.is_flat and isinstance(value, dict)
        if is_flat and not isinstance(value.get(self._leader), list):
            yield Fanned(value, "")
            return
        way = _way(self._leader, value)
        for index, branch in enumerate(_branches(value, way, 0, -1)):
            found = ((name, _follow(name, value, way, branch.chain)) for name in self._names)
            values = {name: each for name, each in found if each is not _ABSENT}
            yield Fanned(values, f"#{index}" if self._is_shared(value, way, branch) else "")

    def _is_shared(self, root: Any, way: _Names, branch: _Branch) -> bool:
        """Say whether other documents of the object have the same id."""
        if self._id is None or branch.fan_depth < 0:
            return False
        return _num_shared(_way(self._id, root), way) < branch.fan_depth


def _way(name: str, root: Any) -> _Names:
    if isinstance(root, Mapping) and name in root:
        return (name,)
    return tuple(name.split("."))


def _branches(value: Any, way: _Names, depth: int, fan_depth: int) -> Iterator[_Branch]:
    if isinstance(value, list) and value:
        for member in value:
            yield from _branches(member, way, depth, depth)
    elif not way or not isinstance(value, Mapping) or way[0] not in value:
        yield _Branch([value], fan_depth)
    else:
        for chain, fanned in _branches(value[way[0]], way[1:], depth + 1, fan_depth):
            yield _Branch([value, *chain], fanned)


def _num_shared(one: _Names, other: _Names) -> int:
    pairs = zip(one, other, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _follow(name: str, root: Any, way: _Names, chain: list[Any]) -> Any:
    """Take the value from the branch where the ways part."""
    own = _way(name, root)
    shared = min(_num_shared(own, way), len(chain) - 1)
    return _walk(chain[shared], own[shared:])


def _walk(value: Any, way: _Names) -> Any:
    """Follow names; what lies in the members of a list is collected."""
    for position, name in enumerate(way):
        if isinstance(value, list):
            found = (_walk(member, way[position:]) for member in value)
            return [member for member in found if member is not _ABSENT]
        if not isinstance(value, Mapping) or name not in value:
            return _ABSENT
        value = value[name]
    return value


def paths_to_text(value: Any) -> dict[str, int]:
    """Return the dotted paths of all strings in an object with the length of the longest.

    Args:
        value: A JSON value; of each list the first member is looked at.

    Returns:
        Path -> characters, in the order of the object.
    """
    lengths: dict[str, int] = {}
    for path, text in _strings(value, "", _MAX_DEPTH_SHOWN):
        lengths[path] = max(lengths.get(path, 0), len(text))
    return lengths


def _strings(value: Any, path: str, depth: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list) and value and depth:
        yield from _strings(value[0], path, depth)
    elif isinstance(value, Mapping) and depth:
        for name, inner in value.items():
            yield from _strings(inner, f"{path}.{name}" if path else name, depth - 1)
