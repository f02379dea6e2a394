"""What a corpus would read: cheap to tell, and different whenever the sources are."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Any

from hunmin.corpus.sources.files.discover import find_files
from hunmin.corpus.sources.spec import (
    FilesSource,
    ParallelSource,
    SourceSpec,
    WarcSource,
    WikipediaDumpSource,
    WikipediaSource,
)
from hunmin.corpus.spec import CorpusSpec
from hunmin.text.files import Location
from hunmin.text.remote.address import RemoteFile

UTTERANCE_PACKAGES = ("home-assistant-intents", "hassil")


def describe_sources(spec: CorpusSpec) -> list[Any]:
    """Describe what lies behind the sources of a recipe, without reading it.

    Args:
        spec: The corpus section.

    Returns:
        A JSON value: size and time of change (or entity tag) of every file, also of
        evaluation sets, thresholds and models; versions of packages that hold text.

    Raises:
        MissingInputError: A path does not exist.
        UnreachableError: A server does not answer.
    """
    described = [_describe(source) for source in spec.sources if source.enabled]
    if spec.decontaminate is not None:
        described += [_describe(source) for source in spec.decontaminate.sets]
    return [*described, *(_describe_file(str(path), path) for path in _models(spec))]


def _models(spec: CorpusSpec) -> list[Path]:
    """The files that documents are judged by; a missing one is told by what opens it."""
    paths = [Path(path) for path in spec.filters.files] if spec.filters is not None else []
    if spec.language is not None and spec.language.model is not None:
        paths.append(spec.language.model)
    if spec.classifier is not None:
        paths += sorted(spec.classifier.path.glob("*"))
    return [path for path in paths if path.is_file()]


def _describe(source: SourceSpec) -> Any:
    if isinstance(source, FilesSource):
        return [_describe_file(file.label, file.path) for file in find_files(source)]
    if isinstance(source, ParallelSource):
        from hunmin.corpus.sources.parallel.reader import files_of

        return [[tag, _describe_file(f.label, f.path)] for tag, f in files_of(source).items()]
    if isinstance(source, WikipediaSource):
        folder = source.path
        files = sorted(folder.rglob("*.parquet")) if folder is not None else []
        return [_describe_file(file.name, file) for file in files]
    if isinstance(source, WarcSource):
        from hunmin.corpus.sources.web.warc import find_archives

        return [_describe_file(label, path) for label, path in find_archives(source)]
    if isinstance(source, WikipediaDumpSource):
        from hunmin.corpus.sources.wikipedia.streams import find_dump

        return [_describe_file(file.name, file) for file in find_dump(source.path)]
    return [_installed_version(name) for name in UTTERANCE_PACKAGES]


def _describe_file(label: str, path: Location) -> list[Any]:
    if isinstance(path, RemoteFile):
        return [label, path.size, path.version]
    status = path.stat()
    return [label, status.st_size, status.st_mtime_ns]


def _installed_version(package: str) -> str | None:
    """Return the version; None if it is absent, which the reader of the source then explains."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
