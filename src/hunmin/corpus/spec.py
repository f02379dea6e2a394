"""What a corpus is made from and what is done to it, as written in a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from hunmin.core.spec import Spec
from hunmin.corpus.filters.spec import FilterSpec
from hunmin.corpus.privacy.spec import PrivacySpec
from hunmin.corpus.sources.spec import FilesSource, ParallelSource, SourceSpec
from hunmin.text.remote.address import is_address

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class LanguageSpec(Spec):
    """How the language of each document is found, and what follows from it."""

    classifier: Literal["py3langid", "pycld2", "fasttext"] = "py3langid"
    """What decides where the script leaves several languages; `fasttext` needs a `model`."""
    model: Path | None = None
    """A fastText model of yours, such as GlotLID."""
    thresholds: dict[str, Share] = Field(default_factory=dict)
    """Lowest score to accept by language tag, beside those of the package; `default` for all."""
    trust: Literal["source", "text"] = "source"
    """`source` keeps the language that a source names; `text` replaces it by what was found."""
    reject_other: bool = True
    """Drop documents that are surely in another language than their source says."""
    reject_unknown: bool = False
    """Drop documents without a language."""

    @model_validator(mode="after")
    def _model_goes_with_fasttext(self) -> LanguageSpec:
        if (self.model is not None) != (self.classifier == "fasttext"):
            raise ValueError("`model` names the model of `classifier: fasttext`, and no other's")
        return self


class QualityClassifierSpec(Spec):
    """A classifier of yours that tells good text from bad; see `hunmin corpus classifier`."""

    path: Path
    """The folder that `hunmin corpus classifier` wrote."""
    threshold: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Smallest score that is kept; None for the classifier's own."""


class NearDuplicateSpec(Spec):
    """Documents that are almost equal: of each cluster one is kept."""

    threshold: Annotated[float, Field(gt=0, le=1)] = 0.72
    """Smallest similarity (Jaccard, of shingles) of near duplicates; 0.70 to 0.75 goes with 14
    bands of 8 rows."""
    bands: Annotated[int, Field(ge=1, le=64)] = 14
    """Buckets that each document is put into."""
    rows: Annotated[int, Field(ge=1, le=64)] = 8
    """Hashes that must be equal for one bucket."""
    max_bucket: Annotated[int, Field(ge=2)] = 10_000
    """Documents of a bucket that are compared without limit."""


class RepeatedLinesSpec(Spec):
    """Lines that stand in many documents and are taken out: page frames, notices, licences."""

    unit: Literal["line", "paragraph"] = "line"
    """What is counted; paragraphs are parted by empty lines."""
    max_documents: Annotated[int, Field(ge=1)] = 100
    """Lines in more documents than this are taken out."""
    min_letters: Annotated[int, Field(ge=1)] = 5
    """Lines of fewer visible characters stay."""
    min_share_left: Share = 0.3
    """A document that keeps a smaller share of its characters is dropped."""


class DeduplicateSpec(Spec):
    """What is dropped because it is there already."""

    exact: bool = True
    """Drop documents whose text equals another one's; that of the earlier source is kept."""
    near: NearDuplicateSpec | None = None
    """Drop near duplicates too; `near: {}` takes the defaults."""
    lines: RepeatedLinesSpec | None = None
    """Take repeated lines out of documents; `lines: {}` takes the defaults."""


class DecontaminateSpec(Spec):
    """Evaluation sets that models of this corpus must not have seen."""

    sets: Annotated[tuple[FilesSource, ...], Field(min_length=1)]
    """Files of items, each item a document of its source; those of one name are one set."""
    min_share: Annotated[float, Field(gt=0, le=1)] = 0.3
    """Share of an item that must stand in a document, in runs of 15 characters."""
    action: Literal["drop", "report"] = "drop"
    """Drop the documents that hold items, or only tell of them."""


class SpokenSpec(Spec):
    """Documents as speech is written down: words for numbers, small letters, no punctuation.

    Lines stay lines. All that judges documents, and the search for duplicates and evaluation items,
    sees them as they were written. In validation and test every document is there in both forms, so
    that the loss on either can be told.
    """

    share: Annotated[float, Field(gt=0, lt=1)] = 0.7
    """Share of the documents in spoken form; with `copies`, of all that there are then."""
    copies: bool = False
    """`false`: each document of the training split has one form, and there are as many as before.
    `true`: each has the more frequent form, and as many as the share asks for have the other form
    too: 0.7 makes 1.43 documents of one."""
    suffix: Annotated[str, Field(max_length=32, pattern=r"^[^\x00-\x1f/\\]*$")] = ""
    """Put behind the source's name of documents in spoken form, so that a mixture can weigh them
    and losses can tell them apart; nothing keeps them in their source's group."""
    massive: Literal["written", "spoken"] = "written"
    """The form of the annotated utterances in `massive/`, one row for each utterance."""


class CorpusSpec(Spec):
    """From raw sources to documents: what is read, what is dropped, what is held out."""

    INDIFFERENT: ClassVar[frozenset[str]] = frozenset({"num_workers", "engine", "address"})

    sources: Annotated[tuple[SourceSpec, ...], Field(min_length=1)]
    """What is read; of equal texts that of the earlier source is kept."""
    validation_fraction: Annotated[float, Field(ge=0.0, le=0.5)] = 0.02
    """Share of the groups held out for validation; 0 for none."""
    test_fraction: Annotated[float, Field(ge=0.0, le=0.5)] = 0.0
    """Share of the groups held out for a test at the very end; 0 for none."""
    min_characters: Annotated[int, Field(ge=1)] = 1
    """Shorter texts are dropped, in characters after normalisation."""
    max_characters: Annotated[int, Field(ge=1_000)] = 1_000_000
    """Longer texts are cut at line ends into documents of one group, in characters."""
    clean: bool = True
    """Take out control characters, invisible ones and strays of layout."""
    language: LanguageSpec | None = None
    """Find out the language of each document; `language: {}` takes the defaults."""
    filters: FilterSpec | None = None
    """Drop documents by their statistics; `filters: {}` takes the thresholds of each language."""
    classifier: QualityClassifierSpec | None = None
    """Drop documents that a classifier of yours finds bad."""
    privacy: PrivacySpec | None = None
    """Put tokens in place of personal data; `privacy: {}` takes the defaults."""
    deduplicate: DeduplicateSpec = DeduplicateSpec()
    """What is dropped because it is there already."""
    decontaminate: DecontaminateSpec | None = None
    """Drop documents that hold items of evaluation sets."""
    spoken: SpokenSpec | None = None
    """Write a share of the documents as they are spoken; `spoken: {}` takes the defaults."""
    seed: int = 0
    """Another seed holds out other groups, and chooses others to be spoken."""
    report: bool = True
    """Write pages and plots of what was read, dropped and kept, beside the statistics."""
    engine: Literal["daft", "ray", "spark"] = "daft"
    """Where the work runs: on this machine (`daft`), or on a cluster. The result is the same."""
    address: str | None = None
    """Address of the cluster: `auto` or `ray://…` for Ray, a master's URL for Spark; None starts
    one on this machine."""
    num_workers: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Processes; `auto`: one a core. The result is the same."""

    @model_validator(mode="after")
    def _something_is_read(self) -> CorpusSpec:
        if not any(source.enabled for source in self.sources):
            raise ValueError("every source is off: set `enabled: true` for one of them")
        if self.validation_fraction + self.test_fraction > 0.5:
            raise ValueError("validation and test together may hold out half of the groups")
        return self

    def addresses(self) -> list[str]:
        """Return the addresses of object stores and the web among the paths of all sources."""
        sets = self.decontaminate.sets if self.decontaminate is not None else ()
        paths = [str(path) for source in (*self.sources, *sets) for path in paths_of(source)]
        return [path for path in paths if is_address(path)]


def paths_of(source: SourceSpec) -> tuple[object, ...]:
    """Return the paths that a source names."""
    if isinstance(source, ParallelSource):
        return tuple(source.files.values())
    one = getattr(source, "path", None)
    several: tuple[object, ...] = getattr(source, "paths", ())
    return several if one is None else (one,)
