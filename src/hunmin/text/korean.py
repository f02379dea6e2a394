"""Korean particles: which of two forms follows a word."""

from __future__ import annotations

import re

# After a final consonant, after a vowel.
_PAIRS = (("을", "를"), ("은", "는"), ("이", "가"), ("과", "와"), ("으로", "로"))
_FORMS = {form: pair for pair in _PAIRS for form in pair}
_PARTICLE = re.compile(r"(으로|[을를은는이가과와로])(?=\s|$)")
_FIRST_SYLLABLE = 0xAC00
_LAST_SYLLABLE = 0xD7A3
_NUM_FINALS = 28
_RIEUL = 8
# How the digits end when read aloud: 영 일 이 삼 사 오 육 칠 팔 구.
_DIGIT_SYLLABLES = dict(zip("0123456789", "영일이삼사오육칠팔구", strict=True))


def fit_particle(before: str, text: str) -> str:
    """Give a particle the form that fits the word before it.

    Args:
        before: The last character of the word.
        text: What follows without a space; it may begin with a particle that ends there.

    Returns:
        The text with the particle (을/를, 은/는, 이/가, 과/와, 으로/로) as the word calls for;
        unchanged if it begins with none, or the word ends in another script.
    """
    match = _PARTICLE.match(text)
    final = _final_consonant(before)
    if match is None or final is None:
        return text
    with_final, without_final = _FORMS[match[1]]
    is_open = final == 0 or (with_final == "으로" and final == _RIEUL)
    return (without_final if is_open else with_final) + text[match.end() :]


def _final_consonant(character: str) -> int | None:
    """Return the number of a syllable's final consonant, 0 for none, None for other scripts."""
    code = ord(_DIGIT_SYLLABLES.get(character, character))
    if not _FIRST_SYLLABLE <= code <= _LAST_SYLLABLE:
        return None
    return (code - _FIRST_SYLLABLE) % _NUM_FINALS
