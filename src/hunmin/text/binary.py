"""Files that are not text, known by their first bytes."""

from __future__ import annotations

# First bytes, what they mean, what to do about it.
_SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (b"PK\x03\x04", "a zip archive (also .docx, .xlsx, .hwpx, .epub)", "unpack or export its text"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an .hwp, .doc or .xls document", "export it as text"),
    (b"%PDF-", "a PDF document", "extract its text first"),
    (b"{\\rtf", "an RTF document", "export it as plain text"),
    (b"\x1f\x8b", "gzip data", "name it .txt.gz or .jsonl.gz to have it unpacked"),
    (b"\x28\xb5\x2f\xfd", "zstd data", "name it .txt.zst or .jsonl.zst to have it unpacked"),
    (b"BZh", "bzip2 data", "name it .txt.bz2 or .jsonl.bz2"),
    (b"\xfd7zXZ\x00", "xz data", "name it .txt.xz or .jsonl.xz"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it"),
    (b"Rar!\x1a\x07", "a RAR archive", "unpack it"),
    (b"PAR1", "a Parquet file", "name it .parquet"),
    (b"ARROW1\x00\x00", "an Arrow file", "convert it to Parquet"),
    (b"SQLite format 3\x00", "an SQLite database", "export the texts as JSON lines"),
    (b"\x89PNG\r\n\x1a\n", "a PNG picture", "leave it out"),
    (b"\xff\xd8\xff", "a JPEG picture", "leave it out"),
    (b"GIF8", "a GIF picture", "leave it out"),
    (b"RIFF", "audio, video or a WebP picture", "leave it out"),
    (b"OggS", "Ogg audio", "leave it out"),
    (b"ID3", "MP3 audio", "leave it out"),
    (b"\x7fELF", "a program", "leave it out"),
    (b"\xca\xfe\xba\xbe", "a program", "leave it out"),
)


def binary_kind(head: bytes) -> tuple[str, str] | None:
    """Say what a file that is not text is.

    Args:
        head: The first bytes of the file, at least 16 if it has them.

    Returns:
        What it is and what to do about it; None if no signature matches.
    """
    for signature, kind, advice in _SIGNATURES:
        if head.startswith(signature):
            return kind, advice
    return None
