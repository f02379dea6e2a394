"""Language tags."""

from __future__ import annotations

import pytest

from hunmin.core.errors import InputError
from hunmin.core.spec import Spec
from hunmin.text.languages import LanguageTag, base_language, language_name, normalize_tag


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("ko", "ko"),
        ("KO_kr", "ko-KR"),
        ("kor", "ko"),
        ("ger", "de"),
        ("zh-hant-tw", "zh-Hant-TW"),
        ("sr_latn", "sr-Latn"),
        ("iw", "he"),
        ("sh", "sr-Latn"),
        ("und", "und"),
        ("gsw", "gsw"),
        ("de-ch-1996", "de-CH-1996"),
        ("es-419", "es-419"),
        ("en-x-simple", "en-x-simple"),
        ("x-private", "x-private"),
    ],
)
def test_tags_are_canonical(given: str, expected: str) -> None:
    assert normalize_tag(given) == expected
    assert normalize_tag(expected) == expected


@pytest.mark.parametrize(
    ("given", "hint"),
    [("Korean", "Did you mean 'ko'"), ("xx", "not a language tag"), ("", "not a language tag")],
)
def test_what_is_no_tag_is_refused(given: str, hint: str) -> None:
    with pytest.raises(InputError, match=hint):
        normalize_tag(given)


def test_names() -> None:
    assert language_name("ko-KR") == "Korean"
    assert language_name("gsw") == "gsw"
    assert base_language("zh-Hant-TW") == "zh"


def test_field_of_a_spec_is_normalized() -> None:
    class Example(Spec):
        language: LanguageTag

    assert Example(language="PT_br").language == "pt-BR"
    with pytest.raises(ValueError, match="not a language tag"):
        Example(language="Korean!")
