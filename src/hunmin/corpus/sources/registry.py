"""Which reader each kind of source has; readers are imported when their kind is asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from hunmin.corpus.sources.reader import SourceReader
from hunmin.corpus.sources.spec import (
    FilesSource,
    HomeAssistantSource,
    ParallelSource,
    SourceSpec,
    WarcSource,
    WikipediaDumpSource,
    WikipediaSource,
)
from hunmin.corpus.spec import CorpusSpec


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


def _wikipedia_dump(source: WikipediaDumpSource, spec: CorpusSpec) -> SourceReader:
    from hunmin.corpus.sources.wikipedia.dump import WikipediaDumpReader

    return WikipediaDumpReader(source, spec.max_characters, num_workers_of(spec))


def _warc(source: WarcSource, spec: CorpusSpec) -> SourceReader:
    from hunmin.corpus.sources.web.warc import WarcReader

    return WarcReader(source, spec.max_characters, num_workers_of(spec))


def _parallel(source: ParallelSource, spec: CorpusSpec) -> SourceReader:
    from hunmin.corpus.sources.parallel.reader import ParallelReader

    return ParallelReader(source)


def num_workers_of(spec: CorpusSpec) -> int:
    """Return the number of processes that readers may use."""
    return (os.cpu_count() or 1) if spec.num_workers == "auto" else spec.num_workers


READERS: Mapping[str, Callable[[Any, CorpusSpec], SourceReader]] = {
    "files": _files,
    "home-assistant": _home_assistant,
    "wikipedia": _wikipedia,
    "wikipedia-dump": _wikipedia_dump,
    "warc": _warc,
    "parallel": _parallel,
}
"""Kind of source -> what opens it."""
