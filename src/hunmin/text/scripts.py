"""Scripts of writing, by their ISO 15924 codes: Hang, Latn, Deva and others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import resources

import numpy as np
import numpy.typing as npt
from tokenizers import Regex
from tokenizers.normalizers import Replace

from hunmin.core.errors import InputError, suggest
from hunmin.core.yaml12 import parse_yaml

# Codes that stand for several scripts written together.
_GROUPS = {
    "Jpan": ("Hira", "Kana", "Hani"),
    "Kore": ("Hang", "Hani"),
    "Hans": ("Hani",),
    "Hant": ("Hani",),
}
# fmt: off
SCRIPTS = (
    "Adlm", "Arab", "Armn", "Beng", "Bopo", "Cans", "Cham", "Cher", "Copt", "Cyrl",
    "Deva", "Egyp", "Ethi", "Geor", "Goth", "Grek", "Gujr", "Guru", "Hang", "Hani",
    "Hebr", "Hira", "Java", "Kana", "Khmr", "Knda", "Laoo", "Latn", "Limb", "Mlym",
    "Mong", "Mymr", "Nkoo", "Olck", "Orya", "Rohg", "Sinh", "Sund", "Syrc", "Tale",
    "Talu", "Taml", "Tavt", "Telu", "Tfng", "Thaa", "Thai", "Tibt", "Vaii", "Yiii",
)
# fmt: on
"""Scripts of living languages and some others, in the order of their codes."""

# fmt: off
UNSPACED_SCRIPTS = (
    "Bopo", "Hani", "Hira", "Kana", "Khmr", "Laoo", "Mymr", "Tale", "Talu", "Tavt", "Thai", "Tibt",
    "Yiii",
)
# fmt: on
"""Scripts in which a word can end without a space after it; Hangul is not among them."""

LetterCounts = npt.NDArray[np.int64]
"""Letters by script: one row a text, one column a script in the order of `SCRIPTS`."""
NO_SCRIPT = len(SCRIPTS)
"""Stands in `script_of_code` for characters that are no letters or marks of one script."""
_CODES = 0x110000


def expand_scripts(codes: Iterable[str]) -> tuple[str, ...]:
    """Check script codes and resolve those that stand for several.

    Args:
        codes: ISO 15924 codes such as `Hang`, or `Jpan` for three scripts.

    Returns:
        Codes of single scripts in order, each once.

    Raises:
        InputError: A code is not known.
    """
    expanded: dict[str, None] = {}
    for code in codes:
        title = code.strip().title()
        if title not in _GROUPS and title not in SCRIPTS:
            near = suggest(title, [*SCRIPTS, *_GROUPS])
            raise InputError(
                f"this is no script that is known here.{near}",
                given=repr(code),
                allowed=f"ISO 15924 codes: {', '.join(sorted([*SCRIPTS, *_GROUPS]))}",
            )
        expanded.update(dict.fromkeys(_GROUPS.get(title, (title,))))
    return tuple(expanded)


@cache
def script_characters(scripts: tuple[str, ...]) -> frozenset[str]:
    """Return all characters of some scripts.

    Args:
        scripts: Codes of single scripts, see `expand_scripts`.

    Returns:
        Letters, marks and signs that belong to one of the scripts alone; characters shared between
        scripts, such as punctuation and most digits, belong to none.
    """
    return frozenset(_only(scripts, _all_characters())) if scripts else frozenset()


@cache
def _all_characters() -> str:
    # No character behind the third plane of ideographs belongs to a script.
    return "".join(map(chr, (*range(0xD800), *range(0xE000, 0x40000))))


def _only(scripts: Sequence[str], text: str) -> str:
    kept = "".join(rf"\p{{{script}}}" for script in scripts)
    found: str = Replace(Regex(f"[^{kept}]+"), "").normalize_str(text)
    return found


def count_scripts(texts: Iterable[str]) -> dict[str, int]:
    """Count the characters of each script.

    Args:
        texts: Any texts.

    Returns:
        Characters by script code, most frequent first; characters of no script are left out.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    seen = "".join(counts)
    by_script = Counter(
        {script: sum(counts[c] for c in _only([script], seen)) for script in SCRIPTS}
    )
    return {script: number for script, number in by_script.most_common() if number}


def count_letters(texts: Sequence[str]) -> LetterCounts:
    """Count the letters and marks of each script in each text.

    Args:
        texts: Any texts.

    Returns:
        One row a text, one column a script in the order of `SCRIPTS`. Digits, punctuation and
        marks shared between scripts are not counted.

    Note:
        Memory: 21 bytes a character of all texts together.
    """
    width = NO_SCRIPT + 1
    if not texts:
        return np.zeros((0, NO_SCRIPT), np.int64)
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
    cells = np.repeat(np.arange(len(texts), dtype=np.int64) * width, lengths)
    cells += script_of_code().take(codes)
    counts = np.bincount(cells, minlength=len(texts) * width)
    return counts.reshape(len(texts), width)[:, :NO_SCRIPT]


@cache
def script_of_code() -> npt.NDArray[np.uint8]:
    """Return the position in `SCRIPTS` of each code point's script, `NO_SCRIPT` if it has none."""
    table = np.full(_CODES, NO_SCRIPT, np.uint8)
    source = resources.files("hunmin.text").joinpath("data/script_ranges.tsv")
    numbers = {script: number for number, script in enumerate(SCRIPTS)}
    for row in source.read_text("utf-8").splitlines():
        if not row.startswith("#"):
            first, last, script = row.split("\t")
            table[int(first, 16) : int(last, 16) + 1] = numbers[script]
    table.flags.writeable = False
    return table


def unspaced_languages() -> frozenset[str]:
    """Return the languages usually written in `UNSPACED_SCRIPTS`, as base languages."""
    return _unspaced()[0]


def is_unspaced_script(code: str) -> bool:
    """Tell whether a script, or all of those that a code stands for, part no words by spaces."""
    return code in _unspaced()[1] or set(_GROUPS.get(code, (code,))) <= set(UNSPACED_SCRIPTS)


@cache
def _unspaced() -> tuple[frozenset[str], frozenset[str]]:
    """Languages, and scripts of which too little is known to count their letters."""
    source = resources.files("hunmin.text").joinpath("data/unspaced.yaml")
    content, _ = parse_yaml(source.read_text("utf-8"), "unspaced.yaml")
    return frozenset(content["languages"]), frozenset(content["other_scripts"])
