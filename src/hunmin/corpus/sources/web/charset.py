"""Which encoding a web page is in, from its bytes, its head and what the server said."""

from __future__ import annotations

import codecs
import io
import re
from typing import NamedTuple

from hunmin.core.errors import TextEncodingError
from hunmin.core.extras import require
from hunmin.text.encoding import detect_encoding

_HEAD_BYTES = 4096
_META = re.compile(rb"<(?:meta|\?xml)[^>]*?(?:charset|encoding)\s*=\s*[\"']?\s*([\w:.-]+)", re.I)
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# What pages mean by a name is the larger set of a vendor, as browsers read it.
# Source: WHATWG Encoding Standard, names and labels.
_WIDER = {
    "euc_kr": "cp949",
    "johab": "cp949",
    "shift_jis": "cp932",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "big5": "big5hkscs",
    "iso8859-1": "cp1252",
    "ascii": "cp1252",
    "iso8859-9": "cp1254",
    "tis-620": "cp874",
    "iso8859-11": "cp874",
}
_LABELS = {"ks_c_5601-1987": "cp949", "ksc5601": "cp949", "x-sjis": "cp932", "x-euc-jp": "euc_jp"}
MAX_BAD_SHARE = 0.001


class DecodedPage(NamedTuple):
    """A page as text."""

    text: str
    """With U+FFFD for the few bytes that do not fit."""
    encoding: str
    """Python codec it was read with."""
    problem: str
    """Why it is no text; empty if nothing is wrong."""


def decode_page(data: bytes, declared: str | None = None) -> DecodedPage:
    """Decode a page.

    Args:
        data: The bytes of the page.
        declared: What the server said.

    Returns:
        The text in the first encoding that fits: by byte order mark, UTF-8, the server's word, the
        page's own word, what the bytes look like, and last what fits anything. Up to one character
        in a thousand may be U+FFFD; if no encoding fits so well, the page comes with its problem.

    Note:
        UTF-8 comes first because other text hardly ever fits it, and the server's word is often a
        default of the server. Source: order of the WHATWG HTML standard with that deviation.
    """
    names = _candidates(data, declared)
    for name in names:
        page = _decoded(data, name)
        if not page.problem:
            return page
    return _decoded(data, names[0])


def _decoded(data: bytes, name: str) -> DecodedPage:
    text = data.decode(name, errors="replace").replace("\0", "")
    bad = text.count("\ufffd")
    problem = f"{bad:,} bytes do not fit {name}" if bad > MAX_BAD_SHARE * len(text) + 1 else ""
    return DecodedPage(text, name, problem)


def _candidates(data: bytes, declared: str | None) -> list[str]:
    """Return codecs to try, the likeliest first."""
    for mark, name in _MARKS:
        if data.startswith(mark):
            return [name]
    if b"\x1b$" in data[:_HEAD_BYTES]:
        return ["iso2022_jp"]
    if _is_utf8(data):
        return ["utf-8"]
    meta = _META.search(data, 0, _HEAD_BYTES)
    named = [_codec(declared), _codec(meta[1].decode("ascii", "replace")) if meta else None]
    known = [name for name in (*named, *_seen(data)) if name]
    # One byte a character fits anything: such a word counts only after the others.
    return list(dict.fromkeys([*sorted(known, key=_is_single_byte), "utf-8"]))


def _seen(data: bytes) -> list[str | None]:
    """Return what the bytes look like: to the detector of text files, then to that of pages."""
    detector = require("resiliparse.parse.encoding", extra="web")
    page = _codec(detector.detect_encoding(data))
    try:
        return [detect_encoding(io.BytesIO(data), where="page").name, page]
    except TextEncodingError:
        return [page]


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _is_single_byte(name: str) -> bool:
    return name.startswith(("cp12", "cp874", "iso8859", "koi8", "mac"))


def _codec(name: str | None) -> str | None:
    """Return the Python codec a page means; None if there is none."""
    if not name:
        return None
    label = name.strip().strip("\"'").lower()
    if label in _LABELS:
        return _LABELS[label]
    try:
        known = codecs.lookup(label)
    except LookupError:
        return None
    # Codecs such as base64 are in the same registry and make no text.
    if not getattr(known, "_is_text_encoding", True) or known.name.startswith("utf-7"):
        return None
    return _WIDER.get(known.name, known.name)
