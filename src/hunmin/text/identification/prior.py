"""What the script of a text says about its language."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from importlib import resources

import numpy as np
import numpy.typing as npt

from hunmin.core.yaml12 import parse_yaml
from hunmin.text.scripts import SCRIPTS, LetterCounts

LATIN = "Latn"
JAPANESE = "Jpan"
UNKNOWN_SCRIPT = "Zyyy"
_COLUMNS = (*SCRIPTS, JAPANESE)
_COLUMN = {script: number for number, script in enumerate(_COLUMNS)}


@dataclass(frozen=True)
class ScriptRule:
    """What is known about a script.

    Args:
        languages: Those usually written in it, most speakers first.
        also: Further ones.
    """

    languages: tuple[str, ...]
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class ScriptRules:
    """The table of scripts.

    Args:
        min_share: Share of a text's letters from which another script than Latin is its script.
        min_kana_share: Share of kana among kana and Han characters from which they are Japanese.
        rules: By script code; `Jpan` stands for kana with Han characters.
    """

    min_share: float
    min_kana_share: float
    rules: dict[str, ScriptRule]

    def scripts_of(self, tag: str) -> frozenset[str]:
        """Return the scripts that a language may be written in.

        Args:
            tag: A canonical tag; a script in it decides.

        Returns:
            Codes, as `rules` has them; Latin if nothing is known.
        """
        language, *rest = tag.split("-")
        named = [part for part in rest if len(part) == 4 and part.isalpha()]
        if named:
            expanded = {"Hans": "Hani", "Hant": "Hani", "Kore": "Hang"}
            return frozenset(expanded.get(part, part) for part in named)
        return self._scripts_by_language.get(language) or frozenset({LATIN})

    @functools.cached_property
    def _scripts_by_language(self) -> dict[str, frozenset[str]]:
        found: dict[str, set[str]] = {}
        for script, rule in self.rules.items():
            for language in (*rule.languages, *rule.also):
                found.setdefault(language, set()).add(script)
        return {language: frozenset(scripts) for language, scripts in found.items()}


@functools.cache
def script_rules() -> ScriptRules:
    """Return the table of scripts that comes with the package."""
    source = resources.files("hunmin.text.identification").joinpath("data/scripts.yaml")
    content, _ = parse_yaml(source.read_text("utf-8"), "scripts.yaml")
    rules = {
        script: ScriptRule(tuple(rule["languages"]), tuple(rule.get("also", ())))
        for script, rule in content["scripts"].items()
    }
    return ScriptRules(content["min_share"], content["min_kana_share"], rules)


def main_scripts(
    counts: LetterCounts, rules: ScriptRules
) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Say which script each text is written in.

    Args:
        counts: Letters by script, see `count_letters`.
        rules: The table of scripts.

    Returns:
        Codes: `Jpan` for kana with Han characters, `Hang` also with Han characters between the
        Hangul, `Zyyy` for a text without letters. And how many letters each text has in it.

    Note:
        A script other than Latin wins over Latin from `min_share` on: a page of code and Korean is
        a Korean page. Among others the most frequent wins.
    """
    grouped = _join_east_asian(counts, rules)
    total = grouped.sum(axis=1)
    others = grouped.copy()
    others[:, _COLUMN[LATIN]] = 0
    best = others.argmax(axis=1)
    share = others.max(axis=1) / np.maximum(total, 1)
    latin = (share < rules.min_share) & (grouped[:, _COLUMN[LATIN]] > 0)
    chosen = np.where(latin, _COLUMN[LATIN], best)
    letters = grouped[np.arange(len(grouped)), chosen]
    codes = [
        _COLUMNS[number] if count else UNKNOWN_SCRIPT
        for number, count in zip(chosen.tolist(), total.tolist(), strict=True)
    ]
    return codes, letters


def _join_east_asian(counts: LetterCounts, rules: ScriptRules) -> LetterCounts:
    """Count Han characters with the kana or the Hangul they stand between."""
    grouped = np.pad(counts, ((0, 0), (0, 1)))
    kana = grouped[:, _COLUMN["Hira"]] + grouped[:, _COLUMN["Kana"]]
    han = grouped[:, _COLUMN["Hani"]] + grouped[:, _COLUMN["Bopo"]]
    hangul = grouped[:, _COLUMN["Hang"]]
    japanese = (kana > 0) & (kana >= rules.min_kana_share * (kana + han))
    korean = ~japanese & (hangul > 0) & (hangul >= rules.min_share * grouped.sum(axis=1))
    for script in ("Hira", "Kana", "Bopo"):
        grouped[:, _COLUMN[script]] = 0
    grouped[:, _COLUMN[JAPANESE]] = np.where(japanese, kana + han, 0)
    grouped[:, _COLUMN["Hang"]] = hangul + np.where(korean, kana + han, 0)
    grouped[:, _COLUMN["Hani"]] = np.where(japanese | korean, 0, kana + han)
    return grouped


@functools.lru_cache(maxsize=1024)
def candidates(script: str, known: frozenset[str]) -> frozenset[str]:
    """Return the tags that a text in a script may have.

    Args:
        script: Code of the text's script.
        known: Canonical tags that a classifier knows.

    Returns:
        Those of `known` whose language may be written in it.
    """
    rules = script_rules()
    return frozenset(tag for tag in known if script in rules.scripts_of(tag))
