"""Numbers and names as the report writes them."""

from __future__ import annotations

MAX_LETTERS = 34


def format_share(part: float, whole: float) -> str:
    """Return "12.3 %"; what is not nothing is never written as 0 %, nor what is not all as 100 %.

    Args:
        part: Not below 0.
        whole: What it is a part of; 0 gives a dash.

    Returns:
        Per cent with a digit after the point.
    """
    if not whole:
        return "–"
    share = 100 * part / whole
    if 0 < share < 0.05:
        return "< 0.1 %"
    if 99.95 <= share < 100:
        return "> 99.9 %"
    return f"{share:.1f} %"


def counted(number: int, name: str) -> str:
    """Return "1 set" or "1,234 sets"."""
    return f"{number:,} {name}{'' if number == 1 else 's'}"


def shortened(name: str, letters: int = MAX_LETTERS) -> str:
    """Return a name that fits into a picture: printable ASCII, cut in its middle if too long."""
    plain = "".join(c if c.isascii() and c.isprintable() else "?" for c in name)
    if len(plain) <= letters:
        return plain.replace("$", r"\$")
    half = (letters - 1) // 2
    return f"{plain[:half]}…{plain[-half:]}".replace("$", r"\$")
