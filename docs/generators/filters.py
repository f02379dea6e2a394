"""The page of all filters: rules, limits by language and where the numbers come from."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

HEADER = """# Filter reference

What `corpus.filters: {}` judges documents by. A rule compares one statistic of a document with
limits; the first rule that fails gives the reason, in the order of this table. Statistics are
shares of characters, lines or words unless the name says otherwise; words are parted by white
space, and where a script parts none (Japanese, Chinese, Thai, Khmer …) characters stand for words.
`hunmin corpus thresholds` proposes limits for a language that has none here, and a recipe
overrides any of them:

```yaml
corpus:
  filters:
    without: [brace_share]
    thresholds:
      ko: {words: {min: 3}, jamo_share: {max: 0.3}}
```

## All languages

"""
HEAD = (
    "| statistic | at least | at most | judged from | reasons | source |\n"
    "|---|--:|--:|---|---|---|\n"
)
BY_LANGUAGE = """
## By language

What differs from the limits above.

"""


def page() -> str:
    """Return the page as Markdown."""
    profiles = importlib.import_module("hunmin.corpus.filters.profiles").shipped_profiles()
    general = profiles.pop("und")
    lines = [HEADER + _table(general), BY_LANGUAGE]
    for tag, profile in sorted(profiles.items()):
        lines += [f"### {tag}\n\n", *_words(profile), _table(profile), "\n"]
    return "".join(lines)


def _table(profile: Any) -> str:
    return HEAD + "".join(_row(name, rule) for name, rule in profile.rules.items())


def _row(name: str, rule: Any) -> str:
    limits = ("" if limit is None else f"{limit:g}" for limit in (rule.min, rule.max))
    reasons = "; ".join(reason for reason in (rule.too_low, rule.too_high) if reason)
    cells = [f"`{name}`", *limits, _from(rule), reasons, rule.origin or ""]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _from(rule: Any) -> str:
    units = ((rule.from_words, "words"), (rule.from_lines, "lines"))
    return ", ".join(f"{number:g} {unit}" for number, unit in units if number)


def _words(profile: Any) -> Iterator[str]:
    if profile.stop_words:
        yield f"{len(profile.stop_words)} stop words: {profile.stop_words_origin}.\n\n"
    if profile.boilerplate:
        yield f"{len(profile.boilerplate)} phrases of boilerplate lines.\n\n"
