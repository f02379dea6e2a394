"""What a recipe may say about a tokenizer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from hunmin.core.errors import InputError, VocabularyError
from hunmin.core.spec import Count, Spec
from hunmin.text.languages import LanguageTag
from hunmin.text.segmentation.boundaries import ALL_KINDS, FUNCTIONAL_KINDS, BoundaryKind
from hunmin.text.segmentation.registry import check_analyser
from hunmin.tokenizer.alphabet import NUM_BYTES
from hunmin.tokenizer.reserved import PURPOSES, Purpose, reserved_tokens, spare_tokens
from hunmin.tokenizer.splits import SplitName

BOUNDARY_TOKEN = "<|endoftext|>"
PAD_TOKEN = "<|pad|>"
REQUIRED_SPECIAL_TOKENS = (BOUNDARY_TOKEN, PAD_TOKEN)


Kind = Literal[
    "byte-bpe",
    "char-bpe",
    "unigram",
    "byte-unigram",
    "morpheme-bpe",
    "morpheme-bpe-train-only",
    "morpheme-bpe-exact",
]
MORPHEME_KINDS = frozenset({"morpheme-bpe", "morpheme-bpe-train-only", "morpheme-bpe-exact"})
KINDS_OF_CHARACTERS = frozenset({"char-bpe", "unigram"})
UNIGRAM_KINDS = frozenset({"unigram", "byte-unigram"})
CONSISTENT_KIND = "morpheme-bpe"
ANY_LANGUAGE = "*"


class AnalyserSpec(Spec):
    """The analyser of one language; a recipe may write `kiwi` or `table:words.tsv` for short."""

    name: str
    """kiwi or mecab-ko (Korean), unidic or sudachi (Japanese), morfessor (learns from the text, any
    language), table (a file with segmented words)."""
    path: Path | None = None
    """The segmentation table: a word and its segments a line, in the format of SIGMORPHON,
    MorphyNet or UniMorph. May be compressed."""


def _analyser(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    name, _, path = value.partition(":")
    return {"name": name, "path": path} if path else {"name": name}


Analysers = Mapping[LanguageTag | Literal["*"], Annotated[AnalyserSpec, BeforeValidator(_analyser)]]


class MorphemeSpec(Spec):
    """Which morpheme boundaries a tokenizer is trained with, and how much they count."""

    analysers: Analysers = Field(default_factory=dict)
    """The analyser of each language, such as `{ko: kiwi, ja: unidic, "*": morfessor}`. Languages
    without one are trained without boundaries. Needed for training only."""
    boundaries: Literal["all", "functional"] | tuple[BoundaryKind, ...] = "all"
    """Boundaries that count: `all`, `functional` (before particles, endings and copulas), or a
    list of kinds: particle, ending, copula, derivation, compound, unlabelled."""
    cross_penalty: float = Field(default=-0.03, ge=-1, allow_inf_nan=False)
    """How much an occurrence across a boundary counts against a pair, next to one within a
    morpheme. -1 counts both alike (plain BPE), 0 ignores those across, 1 keeps nearly every
    boundary and takes the most tokens. The default lets only what is frequent grow together across
    a boundary: most of what 1 gains for the model, at half of the tokens it costs."""
    sample_max_bytes: Count = Field(default=50_000_000, ge=1)
    """UTF-8 bytes of text that are analysed sentence by sentence. Words that occur only in the
    rest of the sample are analysed once, on their own."""

    @field_validator("analysers")
    @classmethod
    def _analysers_exist(cls, analysers: Analysers) -> Analysers:
        for language, analyser in analysers.items():
            try:
                check_analyser(analyser.name, language, path=analyser.path)
            except InputError as error:
                error.where = language
                raise ValueError(str(error)) from error
        return analysers

    @property
    def boundary_kinds(self) -> frozenset[BoundaryKind]:
        """The kinds of boundaries that count."""
        if isinstance(self.boundaries, tuple):
            return frozenset(self.boundaries)
        return ALL_KINDS if self.boundaries == "all" else FUNCTIONAL_KINDS


class TokenizerSpec(Spec):
    """A tokenizer trained on the documents' train split."""

    kind: Kind = "byte-bpe"
    """byte-bpe: byte-level BPE as in GPT-2. morpheme-bpe: the same format, trained
    with morpheme boundaries and used without an analyser. For comparison: char-bpe, unigram,
    byte-unigram, morpheme-bpe-train-only (words are cut at boundaries for training only) and
    morpheme-bpe-exact (for training and use: slow, only hunmin can run it)."""
    morphemes: MorphemeSpec = MorphemeSpec()
    """For the kinds that begin with morpheme-bpe."""
    vocab_size: Count = Field(default=16_000, ge=NUM_BYTES + len(REQUIRED_SPECIAL_TOKENS))
    """Entries including the 256 bytes and the special tokens. Larger: fewer tokens per text, a
    bigger embedding. 8K suits models below 20M parameters, 32K to 64K larger ones."""
    special_tokens: tuple[str, ...] = ()
    """More special tokens, after `<|endoftext|>` (id 0) and `<|pad|>` (id 1). They are never
    produced by encoding a text, only by the code that asks for them."""
    reserve: Literal["objectives"] | tuple[Purpose, ...] = ()
    """Special tokens that `data.objectives` put in: mask (for masked and infill), continue, spans
    (100 of them), languages (infill with language_tokens: one for each language of the text).
    `objectives` reserves all. They have to be there before shards and models are made: an encoder
    needs `[mask]`, an encoder-decoder `[continue]` at least."""
    spare_tokens: int = Field(default=0, ge=0)
    """Special tokens without a meaning yet, for tags and roles of later tasks: a trained model
    cannot get more. AlexaTM has 1,000."""
    sample_max_bytes: Count = Field(default=100_000_000, ge=1)
    """UTF-8 bytes of text to train on. More makes rare merges better and takes longer: on
    two cores a minute or more per 100 MB."""
    temperature: float = Field(default=0.5, ge=0, le=1)
    """Share of a language in the sample: its bytes to this power. 1 keeps the corpus' proportions,
    0 gives every language the same; lower is fairer to small languages."""
    max_repeats: int = Field(default=4, ge=1)
    """How often the text of a small language may be repeated to reach its share."""
    split: SplitName = "gpt-2"
    """What is a word, which entries do not cross. gpt-2: a run of letters, by the regex that every
    loader knows. marks: with the vowel signs and joiners in it, which keeps words of Hindi, Telugu,
    Thai and other scripts whole; transformers and vLLM run it, llama.cpp does not."""
    character_coverage: float = Field(default=0.9995, gt=0, le=1)
    """Share of the sample's characters beyond ASCII that are whole entries (char-bpe, unigram; with
    morpheme-bpe of each language's, in at most half of the vocabulary); rarer ones are spelled in
    bytes."""
    superwords: float = Field(default=0, ge=0, lt=1)
    """Share of the vocabulary that may span several words, learned in a second stage. Fewer tokens
    per text; needs a regex of its own, which llama.cpp cannot run."""
    min_frequency: int = Field(default=2, ge=1)
    """A pair of pieces must occur this often to be merged."""
    max_token_bytes: int | None = Field(default=48, ge=2)
    """Longest entry; char-bpe and unigram count three bytes a character. Keeps repeated sentences
    of scripts without spaces from becoming entries; None for no limit."""
    allow_smaller: bool = False
    """Accept fewer entries than `vocab_size` when the data supports no more merges; otherwise
    that is an error, because a model would carry embeddings that are never trained."""
    seed: int = Field(default=0, ge=0)
    """Decides which documents are in the sample."""

    @model_validator(mode="after")
    def _special_tokens_are_distinct(self) -> TokenizerSpec:
        names = self.all_special_tokens
        if len(set(names)) != len(names) or any(len(name) < 2 for name in names):
            raise ValueError(
                "special_tokens must be distinct, of two characters or more (one is an entry that "
                f"texts need), and without {' and '.join(REQUIRED_SPECIAL_TOKENS)}, which are "
                "always there"
            )
        num_names = len(REQUIRED_SPECIAL_TOKENS) + len(self._names_after_required(()))
        if self.vocab_size < NUM_BYTES + num_names:
            raise ValueError(
                f"vocab_size must be at least {NUM_BYTES + num_names}: "
                f"{NUM_BYTES} bytes and {num_names} special tokens"
            )
        return self

    @model_validator(mode="after")
    def _blocks_fit_the_kind(self) -> TokenizerSpec:
        if self.kind not in MORPHEME_KINDS and self.morphemes != MorphemeSpec():
            raise ValueError(
                f"morphemes says nothing to kind {self.kind}; it belongs to "
                f"{', '.join(sorted(MORPHEME_KINDS))}"
            )
        if self.superwords and self.kind != CONSISTENT_KIND:
            raise ValueError(
                f"superwords need kind {CONSISTENT_KIND}; with its cross_penalty at -1 they join "
                "plain BPE"
            )
        if self.split != "gpt-2" and self.kind in KINDS_OF_CHARACTERS:
            raise ValueError(
                f"split says nothing to kind {self.kind}, which keeps marks with their letters"
            )
        return self

    @property
    def all_special_tokens(self) -> tuple[str, ...]:
        """The required special tokens and the user's, in the order of their ids."""
        return REQUIRED_SPECIAL_TOKENS + self.special_tokens

    def with_reserved(self, languages: Collection[str]) -> TokenizerSpec:
        """Return the same with the names of all reserved tokens among the special tokens.

        Args:
            languages: Tags of the languages of the text.

        Returns:
            A spec that reserves nothing more.

        Raises:
            VocabularyError: The vocabulary has no room for them.
        """
        names = self._names_after_required(languages)
        least = NUM_BYTES + len(REQUIRED_SPECIAL_TOKENS) + len(names)
        if self.vocab_size < least:
            raise VocabularyError(
                f"the vocabulary has no room for the tokens of {len(languages)} languages",
                where="tokenizer.vocab_size",
                given=self.vocab_size,
                allowed=f"{least} or more with this text",
                hint="raise it, or reserve fewer tokens with tokenizer.reserve",
            )
        changes = {"special_tokens": names, "reserve": (), "spare_tokens": 0}
        return TokenizerSpec.model_validate(dict(self) | changes)

    def _names_after_required(self, languages: Collection[str]) -> tuple[str, ...]:
        purposes = PURPOSES if self.reserve == "objectives" else self.reserve
        reserved = reserved_tokens(purposes, languages)
        names = (*self.special_tokens, *reserved, *spare_tokens(self.spare_tokens))
        # Who names a reserved token as a special one too gets it once.
        return tuple(dict.fromkeys(names))
