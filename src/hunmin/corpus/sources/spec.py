"""Sources of a corpus, as written in a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from hunmin.core.spec import Spec
from hunmin.corpus.filters.spec import FilterSpec
from hunmin.text.encoding import check_encoding_name
from hunmin.text.languages import UNDETERMINED, LanguageTag
from hunmin.text.remote.address import is_address, shown

SourceName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f/\\]+$")]


def _column_number(value: object) -> object:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_number else value


FieldName = Annotated[str, BeforeValidator(_column_number), Field(min_length=1)]
"""Name of a field, a path of names parted by dots, or the number of a column from 1."""


Extractor = Literal["quick", "quality"]


class FieldNames(Spec):
    """Which field of a JSON object, a Parquet row or a table's row holds what.

    A dotted path (`data.paragraphs.context`) leads into nested objects; where it meets a list,
    each member makes a document of its own.
    """

    text: FieldName = "text"
    """Field with the document's text; `{title}\\n\\n{content}` builds it from several."""
    id: FieldName | None = None
    """Field that names the document within its source; without it the text itself does."""
    language: FieldName | None = None
    """Field with a BCP 47 tag; the source's language stands in where it is empty."""
    license: FieldName | None = None
    """Field with the licence; the source's licence stands in where it is empty."""
    group: FieldName | None = None
    """Field whose equal values must stay on one side of the split (author, film, page)."""
    meta: tuple[FieldName, ...] = ()
    """Further fields to keep in the documents' `meta`."""


Quote = Annotated[str, Field(min_length=1, max_length=1)]


class TableLayout(Spec):
    """How the rows of a CSV or TSV file are written."""

    header: bool = True
    """The first row names the columns; else `fields` names them by number, from 1."""
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | Literal["auto"] = "auto"
    """What parts the columns; `auto`: a comma in CSV, a tab in TSV."""
    quote: Quote | Literal["auto", "none"] = "auto"
    """What encloses values; doubled inside them. `auto`: `"` in CSV, none in TSV."""


class Source(Spec):
    """What all sources have."""

    enabled: bool = True
    """Whether it is read; `false` leaves it out, to see what it is worth."""
    filters: FilterSpec | None = None
    """Filters of this source instead of the corpus's, for texts of another kind: chat, reviews."""


class FilesSource(Source):
    """Texts in files: .txt, .jsonl, .parquet, .csv, .tsv; .gz, .zst, .bz2, .xz are unpacked."""

    kind: Literal["files"] = "files"
    """Says that this is a source of files."""
    paths: Annotated[tuple[str, ...], Field(min_length=1)]
    """Files, folders (searched to the bottom), globs (`data/**/*.txt`), and addresses: s3://, gs://
    and hf:// like these, https:// of one file."""
    name: SourceName | None = None
    """Name of the source in statistics; the first path's name by default."""
    language: LanguageTag = UNDETERMINED
    """BCP 47 tag of the language; `und` if it is not known."""
    license: str = "unknown"
    """Licence of the texts, an SPDX name where there is one."""
    format: Literal["auto", "text", "jsonl", "json", "parquet", "csv", "tsv", "html"] = "auto"
    """How to read the files; `auto` goes by the name's ending. `json`, `html`: only if told."""
    unit: Literal["file", "paragraph", "line"] = "paragraph"
    """What one document of a text file is; paragraphs are parted by empty lines."""
    encoding: Annotated[str, AfterValidator(check_encoding_name)] = "auto"
    """`auto` tells UTF-8, UTF-16 and CP949/EUC-KR apart; else the name of a Python codec."""
    undecodable: Literal["refuse", "reject"] = "refuse"
    """What to do with a line whose bytes do not fit: stop, or put it among the rejects."""
    fields: FieldNames = FieldNames()
    """Names of fields in JSON, Parquet, CSV and TSV."""
    table: TableLayout = TableLayout()
    """How CSV and TSV files are written."""
    extractor: Extractor = "quick"
    """How the text of an HTML page is found: `quick`, or `quality`, a tenth as fast."""

    @property
    def source_name(self) -> str:
        """Name of the source in ids and statistics."""
        return self.name or _name_of(self.paths[0])


class HomeAssistantSource(Source):
    """Utterances to a voice assistant in more than sixty languages, with intent and slots."""

    kind: Literal["home-assistant"] = "home-assistant"
    """Says that this is the source of sampled voice commands."""
    languages: Literal["all"] | Annotated[tuple[LanguageTag, ...], Field(min_length=1)] = "all"
    """BCP 47 tags of the languages to sample, or `all`."""
    utterances_per_template: Annotated[int, Field(ge=1, le=10_000)] = 16
    """Most utterances drawn from one sentence template."""
    max_utterances_per_language: Annotated[int, Field(ge=1)] | None = None
    """Most utterances of one language, spread evenly over its templates; None for no limit."""
    seed: int = 0
    """Another seed draws other utterances."""

    @property
    def source_name(self) -> str:
        """Name of the source in ids and statistics."""
        return "home-assistant"


class WikipediaSource(Source):
    """Articles of Wikipedia as plain text, through the `datasets` library."""

    kind: Literal["wikipedia"] = "wikipedia"
    """Says that this is Wikipedia."""
    language: LanguageTag
    """BCP 47 tag; also the edition's code unless `edition` says otherwise."""
    edition: str | None = None
    """Code of the edition where it is no language tag, such as `simple` or `zh-classical`."""
    snapshot: Annotated[str, Field(pattern=r"^\d{8}$")] = "20231101"
    """Date of the dump, YYYYMMDD, one that wikimedia/wikipedia has."""
    path: Path | None = None
    """Folder with the same Parquet files (id, url, title, text); None downloads them."""
    max_documents: Annotated[int, Field(ge=1)] | None = None
    """Most articles to read, from the start of the dump; None for all."""

    @property
    def source_name(self) -> str:
        """Name of the source in ids and statistics."""
        return f"wikipedia-{self.edition or self.language}"


class WikipediaDumpSource(Source):
    """Articles from a dump that Wikimedia publishes, wikitext turned into plain text."""

    kind: Literal["wikipedia-dump"] = "wikipedia-dump"
    """Says that this is a dump of Wikipedia or of another wiki of its kind."""
    path: str
    """The file `…-pages-articles-multistream.xml.bz2`; its index is not needed."""
    language: LanguageTag
    """BCP 47 tag of the articles."""
    name: SourceName | None = None
    """Name of the source in statistics; `wikipedia-LANGUAGE` by default."""
    license: str = "CC-BY-SA-4.0 AND GFDL-1.3-or-later"
    """Licence of the articles; dumps from before June 2023 are CC-BY-SA-3.0."""
    namespaces: Annotated[tuple[int, ...], Field(min_length=1)] = (0,)
    """Numbers of the namespaces to read; 0 holds the articles."""
    disambiguation: bool = False
    """Read pages that only list the meanings of a title too; redirects never are."""
    title: bool = True
    """Begin each text with its title, on a line of its own."""
    categories: bool = False
    """Keep the names of an article's categories in `meta`."""
    templates: dict[str, str] = Field(default_factory=dict)
    """Further templates that put text into a sentence, and what they show: `{lang: "{2}"}`."""

    @property
    def source_name(self) -> str:
        """Name of the source in ids and statistics."""
        return self.name or f"wikipedia-{self.language}"


class WarcSource(Source):
    """Pages of web archives (WARC): text of HTML responses, or of text that was extracted (WET).

    The pages of a host are one group: they share menus, notices and often whole texts, so a page
    held out would not be new to a model that saw its neighbours.
    """

    kind: Literal["warc"] = "warc"
    """Says that this is a source of web archives."""
    paths: Annotated[tuple[str, ...], Field(min_length=1)]
    """Archives (.warc, .warc.gz, .warc.zst), folders of them, globs and addresses."""
    name: SourceName | None = None
    """Name of the source in statistics; the first path's name by default."""
    language: LanguageTag = UNDETERMINED
    """BCP 47 tag of the language; `und` if it is not known."""
    license: str = "unknown"
    """Licence of the texts, an SPDX name where there is one."""
    extractor: Extractor = "quick"
    """How the text of a page is found: `quick`, or `quality`, a tenth as fast."""

    @property
    def source_name(self) -> str:
        """Name of the source in ids and statistics."""
        return self.name or _name_of(self.paths[0])


class ParallelSource(Source):
    """Sentences and their translations: one document of two lines for each pair.

    A model that fills gaps in such documents can look them up in the other language (translation
    language modelling, TLM). Every language is paired with the pivot; a sentence of the pivot is
    one group with all its translations. The language of a document is that of the translation.
    Language identification, the corpus's filters and classifier, and the search for repeated lines
    leave pairs alone.
    """

    kind: Literal["parallel"] = "parallel"
    """Says that this is parallel text."""
    files: Annotated[dict[LanguageTag, str], Field(min_length=2)]
    """File (or address of one) by BCP 47 tag, the pivot's too."""
    pivot: LanguageTag = "en"
    """The language that all others are paired with."""
    name: SourceName | None = None
    """Name of the source in statistics; `parallel` by default."""
    license: str = "unknown"
    """Licence of the texts, an SPDX name where there is one."""
    key: tuple[FieldName, ...] = ()
    """Fields that are equal in a sentence and its translation: `[page, paragraph]`, or numbers of
    columns in files without a header. Without it line N belongs to line N."""
    text: FieldName | dict[LanguageTag, FieldName] = "text"
    """With `key`: the field of the sentence; by language where one file holds them all, as in
    `{en: name.en, ko: name.ko}`."""
    format: Literal["auto", "jsonl", "parquet", "csv", "tsv"] = "auto"
    """With `key`: how to read the files; `auto` goes by the name's ending."""
    table: TableLayout = TableLayout()
    """With `key`: how CSV and TSV files are written."""
    allow_shorter: bool = False
    """Take a file that ends before the pivot's as translations of its first lines."""
    pivot_first: bool = False
    """The pivot's line always comes first; else it is the second one in half of the pairs."""

    @property
    def source_name(self) -> str:
        """Name of the source in ids and statistics."""
        return self.name or "parallel"

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages that are paired with the pivot."""
        return tuple(tag for tag in self.files if tag != self.pivot)

    @model_validator(mode="after")
    def _pivot_has_a_file(self) -> ParallelSource:
        if self.pivot not in self.files:
            raise ValueError(f"`files` names no file of the pivot '{self.pivot}'")
        return self

    @model_validator(mode="after")
    def _text_has_a_field_of_each_language(self) -> ParallelSource:
        if not isinstance(self.text, str) and self.text.keys() != self.files.keys():
            odd = ", ".join(sorted(self.text.keys() ^ self.files.keys()))
            raise ValueError(f"`text` and `files` must name the same languages; in one only: {odd}")
        return self

    def text_field(self, tag: str) -> str:
        """Return the field of the sentence in a language's file."""
        return self.text if isinstance(self.text, str) else self.text[tag]


SourceSpec = Annotated[
    FilesSource
    | HomeAssistantSource
    | WikipediaSource
    | WikipediaDumpSource
    | WarcSource
    | ParallelSource,
    Field(discriminator="kind"),
]


def _name_of(path: str) -> str:
    path = shown(path) if is_address(path) else path
    parts = [part for part in Path(path).parts if not set(part) & set("*?[")]
    name = parts[-1].strip("/\\") if parts else ""
    return name.split(".")[0][:64] or "files"
