"""Unicode normal form C, by the standard library, proved at import."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

# Decomposed and composed forms that a wrong normaliser gets wrong: Hangul (which pyarrow before 26
# decomposes), a Latin letter with two marks in the wrong order, and a kana with a voicing mark.
_KNOWN_FORMS = (
    ("\u1112\u1161\u11ab", "\ud55c"),
    ("e\u0323\u0302", "\u1ec7"),
    ("\u304b\u3099", "\u304c"),
)
_LINE_ENDS = ("\r\n", "\r", "\u0085", "\u2028", "\u2029")
_AROUND = "".join(chr(code) for code in range(0x3001) if chr(code).isspace()) + "\ufeff"
_TEXTS_AT_ONCE = 512
# Longer texts cost less one by one than copied together.
_SHORT_CHARACTERS = 200


def self_test() -> None:
    """Prove that NFC composes, on forms where normalisers are known to fail.

    Raises:
        RuntimeError: The interpreter's Unicode data is broken; every text would be damaged.
    """
    for decomposed, composed in _KNOWN_FORMS:
        if unicodedata.normalize("NFC", decomposed) != composed:
            raise RuntimeError(f"unicodedata does not compose {decomposed!r} to {composed!r}")


def normalize(text: str) -> str:
    r"""Return the text in NFC with `\n` line ends, no byte order mark, no white space around it.

    Args:
        text: Any text; may be empty.

    Returns:
        The same text in one canonical spelling. Applying it twice changes nothing.
    """
    if not unicodedata.is_normalized("NFC", text):
        text = unicodedata.normalize("NFC", text)
    for line_end in _LINE_ENDS:
        if line_end in text:
            text = text.replace(line_end, "\n")
    return text.strip(_AROUND)


def normalize_many(texts: Sequence[str]) -> list[str]:
    """Normalise texts, short ones as quickly as long ones.

    Args:
        texts: Any texts.

    Returns:
        What `normalize` returns for each.
    """
    normal: list[str] = []
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        some = texts[start : start + _TEXTS_AT_ONCE]
        if sum(map(len, some)) < _SHORT_CHARACTERS * len(some) and _is_normal("\n".join(some)):
            normal += [text.strip(_AROUND) for text in some]
        else:
            normal += map(normalize, some)
    return normal


def _is_normal(texts: str) -> bool:
    """Tell whether several texts are normal but for the white space around each."""
    # Nothing composes with the line ends between them, so that one look tells for all.
    return unicodedata.is_normalized("NFC", texts) and not any(end in texts for end in _LINE_ENDS)


self_test()
