"""Groups and the names by which a recipe calls them.

By language and source a group is `ko/wikipedia`: a language's part of a source. Its language and
its source are names too, for all the groups they have. Otherwise a group has its own name only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from hunmin.core.errors import InputError, suggest
from hunmin.data.spec import MixBy

SEPARATOR = "/"


class Grouping:
    """Groups as branches (languages) with members (their sources).

    Args:
        groups: Names of all groups.
        mix_by: What a group is.
    """

    def __init__(self, groups: Iterable[str], mix_by: MixBy) -> None:
        self.groups = tuple(sorted(groups))
        self._nested = mix_by == "language and source"
        pairs = [(group, self._parts(group)) for group in self.groups]
        self._languages = {group: language for group, (language, _) in pairs}
        self._sources = {group: source for group, (_, source) in pairs}

    def _parts(self, group: str) -> tuple[str, str]:
        # No language tag holds the separator; a source may.
        language, _, source = group.partition(SEPARATOR) if self._nested else (group, "", group)
        return language, source

    def branch(self, group: str) -> str:
        """Return the language of a group; the group itself if there is one level only."""
        return self._languages[group]

    def level(self, name: str) -> int:
        """Return how specific a name is: 0 a single group, 1 a source, 2 a language."""
        if name in self._languages:
            return 0
        return 1 if name in self._sources.values() else 2

    def members(self, name: str, where: str) -> tuple[str, ...]:
        """Return the groups that a name stands for.

        Args:
            name: A group, a source or a language.
            where: The recipe key that names it, for errors.

        Returns:
            At least one group.

        Raises:
            InputError: No group has this name, or a language and a source share it.
        """
        if name in self._languages:
            return (name,)
        of_language = tuple(group for group in self.groups if self._languages[group] == name)
        of_source = tuple(group for group in self.groups if self._sources[group] == name)
        if of_language and of_source:
            raise _ambiguous(name, where, (*of_language, *of_source))
        if not of_language and not of_source:
            raise self._unknown(name, where)
        return of_language or of_source

    def _unknown(self, name: str, where: str) -> InputError:
        names = sorted({*self._languages.values(), *self._sources.values(), *self.groups})
        hint = "name a group that is there, or change data.mix_by and make the shards again"
        if not self._nested:
            hint += "; with mix_by: language and source both can be named"
        return InputError(
            f"there is no such group in the shards.{suggest(name, names)}",
            where=f"{where}.{name}",
            given=name,
            allowed=", ".join(names),
            hint=hint,
        )


def _ambiguous(name: str, where: str, groups: Collection[str]) -> InputError:
    return InputError(
        "a language and a source have this name",
        where=f"{where}.{name}",
        given=name,
        allowed=", ".join(sorted(groups)),
        hint="name the groups one by one, as language/source",
    )
