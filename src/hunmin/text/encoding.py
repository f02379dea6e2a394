"""Which encoding a stream of bytes is in: UTF-8, UTF-16 or CP949, by evidence, else refused."""

from __future__ import annotations

import codecs
import io
from typing import BinaryIO, NamedTuple

from hunmin.core.errors import InputError, TextEncodingError, suggest
from hunmin.text.binary import binary_kind

SAMPLE_BYTES = 1 << 20
ALLOWED = "UTF-8 (with or without byte order mark), UTF-16, CP949 or EUC-KR"
KNOWN_ENCODINGS = ("utf-8", "utf-16", "cp949", "euc-kr", "shift_jis", "gb18030", "big5", "cp1252")
# The commonest syllables of Korean text. Bytes of another legacy encoding also decode as CP949,
# but then these are no more frequent than the other two thousand.
_COMMON_SYLLABLES = frozenset(
    "이다는에의가을를은하고지기로도서한사나어리아인시자정대그있일보라수스들과해전만니게제주으장여부상"
    "안국구요원성조공중관유오우적것면없음습했와까든야네세내미비신경동영화무세생각말때집"
)
_MIN_COMMON_SHARE = 0.2
_MIN_SYLLABLE_SHARE = 0.6
_MIN_PLAIN_SHARE = 0.98


class DetectedEncoding(NamedTuple):
    """An encoding and the length of the byte order mark to skip."""

    name: str
    """Python codec: utf-8, utf-16-le, utf-16-be or cp949."""
    mark_bytes: int
    """Length of the byte order mark at the start, in bytes."""


def detect_encoding(stream: BinaryIO, *, where: str) -> DetectedEncoding:
    """Find the encoding of a stream from its bytes.

    Args:
        stream: Bytes from the start of a file; read up to one megabyte past the first byte that is
            not ASCII. The caller rewinds or opens it again.
        where: How messages call the file.

    Returns:
        The encoding. Pure ASCII counts as UTF-8.

    Raises:
        TextEncodingError: The bytes are not text, or in no encoding that can be told.
    """
    head = stream.read(SAMPLE_BYTES)
    marked = _by_mark(head, where)
    if marked is not None:
        return marked
    kind = binary_kind(head)
    if kind is not None:
        raise TextEncodingError(
            f"this is not text: it looks like {kind[0]}",
            where=where,
            given=f"bytes {_hex(head[:8])} at byte 0",
            allowed=ALLOWED,
            hint=kind[1],
        )
    if b"\0" in head:
        return _utf16_or_refuse(head, where)
    sample, offset = _first_sample_with_evidence(stream, head)
    if _decodes(sample, "utf-8"):
        return DetectedEncoding("utf-8", 0)
    if _is_korean_cp949(sample):
        return DetectedEncoding("cp949", 0)
    raise _unknown_encoding(sample, offset, where)


def check_encoding_name(name: str) -> str:
    """Return a Python text codec's canonical name.

    Args:
        name: What the user wrote: `auto` or a codec such as `shift_jis`.

    Returns:
        `auto`, or the codec's name.

    Raises:
        InputError: There is no such text encoding.
    """
    if name == "auto":
        return name
    if not _is_text_codec(name):
        raise InputError(
            f"there is no such text encoding.{suggest(name, KNOWN_ENCODINGS)}",
            given=repr(name),
            allowed=f"auto, or a Python codec such as {', '.join(KNOWN_ENCODINGS)}",
        )
    return codecs.lookup(name).name


def _is_text_codec(name: str) -> bool:
    try:
        io.TextIOWrapper(io.BytesIO(), encoding=name)  # knows unknown codecs and those of no text
    except (LookupError, ValueError):
        return False
    return True


def undecodable(
    bad_bytes: bytes, offset: int, where: str, encoding: str, line: int | None = None
) -> TextEncodingError:
    """Return the error for bytes that do not fit the encoding of the rest of the file."""
    place = f"byte {offset}" + (f" (line {line})" if line is not None else "")
    return TextEncodingError(
        f"bytes that are not {encoding} at {place}",
        where=where,
        given=f"bytes {_hex(bad_bytes)}",
        allowed=ALLOWED,
        hint="repair the file, name its encoding with `encoding:` in the source, or set "
        "`undecodable: reject` to leave such lines out",
    )


def _hex(data: bytes) -> str:
    return " ".join(f"{byte:02x}" for byte in data)


def _by_mark(head: bytes, where: str) -> DetectedEncoding | None:
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)) and len(head) % 4 == 0:
        raise TextEncodingError(
            "this is UTF-32",
            where=where,
            given=f"bytes {_hex(head[:4])} at byte 0",
            allowed=ALLOWED,
            hint="convert it: iconv -f UTF-32 -t UTF-8",
        )
    if head.startswith(codecs.BOM_UTF8):
        return DetectedEncoding("utf-8", 3)
    if head.startswith(codecs.BOM_UTF16_LE):
        return DetectedEncoding("utf-16-le", 2)
    if head.startswith(codecs.BOM_UTF16_BE):
        return DetectedEncoding("utf-16-be", 2)
    return None


def _utf16_or_refuse(head: bytes, where: str) -> DetectedEncoding:
    """UTF-16 has zero bytes: take the byte order that reads as text with more ASCII in it."""
    scores = {name: _ascii_in_text(head, name) for name in ("utf-16-le", "utf-16-be")}
    best = max(scores, key=lambda name: scores[name])
    if scores[best] > 0:
        return DetectedEncoding(best, 0)
    offset = head.index(b"\0")
    raise TextEncodingError(
        f"this is not text: a zero byte at byte {offset}",
        where=where,
        given=f"bytes {_hex(head[max(offset - 3, 0) : offset + 4])}",
        allowed=ALLOWED,
        hint="leave the file out, or convert it to UTF-8 text",
    )


def _ascii_in_text(data: bytes, encoding: str) -> int:
    """Return the number of ASCII characters, such as spaces, in what reads as text; else 0."""
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(data)[:4096]
    except UnicodeDecodeError:
        return 0
    num_plain = sum(character.isprintable() or character in "\t\r\n" for character in text)
    return sum(map(str.isascii, text)) if num_plain >= _MIN_PLAIN_SHARE * len(text) else 0


def _first_sample_with_evidence(stream: BinaryIO, head: bytes) -> tuple[bytes, int]:
    """Skip over pure ASCII, which is no evidence, and return the first bytes that are not."""
    block, offset = head, 0
    while block and block.isascii():
        offset += len(block)
        block = stream.read(SAMPLE_BYTES)
    # Complete the sample, so that a difference near a block's end is judged on enough text.
    return block + (stream.read(SAMPLE_BYTES) if block else b""), offset


def _decodes(sample: bytes, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        decoder.decode(sample)
    except UnicodeDecodeError:
        return False
    return True


def _is_korean_cp949(sample: bytes) -> bool:
    try:
        text = codecs.getincrementaldecoder("cp949")().decode(sample)
    except UnicodeDecodeError:
        return False
    foreign = [character for character in text if not character.isascii()]
    syllables = [character for character in foreign if "\uac00" <= character <= "\ud7a3"]
    if len(syllables) < max(_MIN_SYLLABLE_SHARE * len(foreign), 1):
        return False
    common = sum(character in _COMMON_SYLLABLES for character in syllables)
    return common >= _MIN_COMMON_SHARE * len(syllables)


def _unknown_encoding(sample: bytes, offset: int, where: str) -> TextEncodingError:
    start, bad = 0, sample[:1]
    try:
        sample.decode("utf-8")
    except UnicodeDecodeError as error:
        start, bad = error.start, sample[error.start : error.start + 8]
    return TextEncodingError(
        f"the encoding cannot be told: not UTF-8 from byte {offset + start} on, and not Korean "
        "text in CP949",
        where=where,
        given=f"bytes {_hex(bad)}",
        allowed=ALLOWED,
        hint="name it in the source if you know it, for example `encoding: cp1252` or `encoding: "
        "shift_jis`, or convert the file: iconv -f ENCODING -t UTF-8",
    )
