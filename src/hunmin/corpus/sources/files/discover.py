"""Finding the files that paths, folders and globs of a source name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from hunmin.core.errors import EmptyCorpusError, InputError, MissingInputError
from hunmin.core.logs import get_logger
from hunmin.corpus.sources.spec import FilesSource
from hunmin.text.files import COMPRESSIONS, Location, missing_path
from hunmin.text.remote.address import RemoteFile, is_address, shown

Format = Literal["text", "jsonl", "json", "parquet", "csv", "tsv", "html"]
_FORMATS: dict[str, Format] = {
    ".txt": "text",
    ".text": "text",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".csv": "csv",
    ".tsv": "tsv",
}
_ALLOWED = ".txt, .jsonl, .csv, .tsv (each also .gz, .zst, .bz2 or .xz), .parquet"
logger = get_logger(__name__)


class InputFile(NamedTuple):
    """A file to read."""

    label: str
    """Name below the folder it was found in; part of ids and of messages in the corpus."""
    path: Location
    """Where it lies."""
    format: Format
    """How its content is laid out."""
    compression: str | None
    """gzip, zstd, bz2, xz or None."""


def find_files(source: FilesSource) -> list[InputFile]:
    """Find the files of a source.

    Args:
        source: Its paths may be files, folders and globs, relative to the working folder, and
            addresses.

    Returns:
        The files in the order of their labels, whatever the order of the paths; each once.

    Raises:
        MissingInputError: A path does not exist, or a glob matches nothing.
        EmptyCorpusError: The folders hold no file of a known format.
        InputError: A file was named whose format is not known.
    """
    found: dict[Location, InputFile] = {}
    skipped: Counter[str] = Counter()
    for path in source.paths:
        for label, file, was_named in expand_path(path):
            known = _input_file(label, file, source.format)
            if known is not None:
                found.setdefault(resolved(file), known)
            elif was_named:
                raise _unknown_format(file)
            else:
                skipped[file.suffix or "(no ending)"] += 1
    names = ", ".join(f"{count} {suffix}" for suffix, count in sorted(skipped.items()))
    if not found:
        raise EmptyCorpusError(
            f"no file to read for the source '{source.source_name}'",
            where=", ".join(map(shown_path, source.paths)),
            given=names or "an empty folder",
            allowed=_ALLOWED,
            hint="name another folder, or set `format: text` to read every file as plain text",
        )
    if skipped:
        logger.warning("source %s: files of other formats left out: %s", source.source_name, names)
    return sorted(found.values(), key=lambda file: (file.label, str(file.path)))


def expand_path(path: str) -> Iterator[tuple[str, Location, bool]]:
    """Yield label, path and whether the user named this very file.

    Args:
        path: A file, a folder or a glob; also the address of one on an object store, or of a file
            on the web.

    Raises:
        MissingInputError: It does not exist, or the glob matches nothing.
        InputError: It is an address that cannot be read.
        UnreachableError: The server does not answer.
    """
    if is_address(path):
        from hunmin.text.remote.find import find_remote

        yield from find_remote(path)
        return
    if set(path) & set("*?["):
        root = _fixed_folder(path)
        matches = sorted(root.glob(str(Path(path).relative_to(root))))
        if not matches:
            raise MissingInputError(
                "nothing matches this pattern",
                where=path,
                hint="check the folder; `**` searches all folders below",
            )
        yield from _labelled(matches, root)
        return
    target = Path(path)
    if not target.exists():
        raise missing_path(target)
    if target.is_dir():
        yield from _labelled(target.rglob("*"), target.parent)
    else:
        yield target.name, target, True


def resolved(path: Location) -> Location:
    """Return what two paths to the same file have in common."""
    return path if isinstance(path, RemoteFile) else path.resolve()


def shown_path(path: str) -> str:
    """Return a path or address as messages may show it."""
    return shown(path) if is_address(path) else path


def _labelled(paths: Iterable[Path], root: Path) -> Iterator[tuple[str, Path, bool]]:
    for path in paths:
        label = path.relative_to(root)
        if path.is_file() and not any(part.startswith(".") for part in label.parts):
            yield label.as_posix(), path, False


def _fixed_folder(pattern: str) -> Path:
    fixed = Path()
    for part in Path(pattern).parts[:-1]:
        if set(part) & set("*?["):
            break
        fixed /= part
    return fixed


def _input_file(label: str, path: Location, format_: str) -> InputFile | None:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    compression = COMPRESSIONS.get(suffixes[-1]) if suffixes else None
    if compression is not None:
        suffixes.pop()
    known = _FORMATS.get(suffixes[-1]) if suffixes else None
    if format_ != "auto":
        known = format_  # type: ignore[assignment]
    if known is None or (known == "parquet" and compression is not None):
        return None
    return InputFile(label, path, known, compression)


def _unknown_format(path: Location) -> InputError:
    hint = "set `format: text` in the source to read it as plain text"
    if ".json" in map(str.lower, path.suffixes):
        hint = (
            "set `format: json` in the source to read a JSON document with `fields`, or write one "
            "object a line: jq -c '.[]' FILE.json > FILE.jsonl"
        )
    if {".html", ".htm"} & set(map(str.lower, path.suffixes)):
        hint = "set `format: html` in the source to read the text of the page"
    return InputError(
        "the format of this file is not known",
        where=str(path),
        given=path.suffix or "no ending",
        allowed=_ALLOWED,
        hint=hint,
    )
