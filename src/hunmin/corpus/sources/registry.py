"""Which reader each kind of source has; readers are imported when their kind is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hunmin.corpus.sources.reader import SourceReader
from hunmin.corpus.spec import (
    CorpusSpec,
    FilesSource,
    HomeAssistantSource,
    SourceSpec,
    WikipediaSource,
)


def open_source(source: SourceSpec, spec: CorpusSpec) -> SourceReader:
    """Return the reader of a source; whatever is missing is told now, before anything is read."""
    return READERS[source.kind](source, spec)


def _files(source: FilesSource, spec: CorpusSpec) -> SourceReader:
    from hunmin.corpus.sources.files.reader import FileReader

    return FileReader(source, spec.max_characters)


def _home_assistant(source: HomeAssistantSource, spec: CorpusSpec) -> SourceReader:
    from hunmin.corpus.sources.home.source import HomeAssistantReader

    return HomeAssistantReader(source)


def _wikipedia(source: WikipediaSource, spec: CorpusSpec) -> SourceReader:
    from hunmin.corpus.sources.wikipedia.hub import WikipediaReader

    return WikipediaReader(source, spec.max_characters)


READERS: Mapping[str, Callable[[Any, CorpusSpec], SourceReader]] = {
    "files": _files,
    "home-assistant": _home_assistant,
    "wikipedia": _wikipedia,
}
"""Kind of source -> what opens it."""
