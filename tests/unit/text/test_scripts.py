from __future__ import annotations

import pytest

from hunmin.core.errors import InputError
from hunmin.text.scripts import SCRIPTS, count_scripts, expand_scripts, script_characters


def test_codes_are_checked_and_groups_resolved() -> None:
    assert expand_scripts(["Hang"]) == ("Hang",)
    assert expand_scripts([" jpan", "Hani", "latn"]) == ("Hira", "Kana", "Hani", "Latn")


def test_an_unknown_script_gets_a_suggestion() -> None:
    with pytest.raises(InputError, match="Did you mean 'Hang'"):
        expand_scripts(["Hangul"])


def test_characters_belong_to_scripts_punctuation_to_none() -> None:
    hangul = script_characters(("Hang",))
    assert {"가", "힣", "ㄱ", "\u1112"} <= hangul
    assert hangul.isdisjoint("aあ字। .1。")
    assert script_characters(()) == frozenset()


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_library_knows_every_script(script: str) -> None:
    assert script_characters((script,))


def test_scripts_are_counted_most_frequent_first() -> None:
    counts = count_scripts(["가나다 ab", "라, かな 字"])
    assert counts == {"Hang": 4, "Latn": 2, "Hira": 2, "Hani": 1}
    assert next(iter(counts)) == "Hang"
    assert count_scripts(["123 …"]) == {}
