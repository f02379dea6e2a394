"""What a recipe may say about self-supervised objectives."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from hunmin.core.spec import Spec

Share = Annotated[float, Field(gt=0, le=1)]
SpanLength = Annotated[float, Field(ge=1, le=100)]


class _Objective(Spec):
    weight: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """Share of the rows that get this objective; only the proportions of all weights count."""


class MaskedSpec(_Objective):
    """An encoder says tokens that are hidden from it (BERT, RoBERTa)."""

    kind: Literal["masked"] = "masked"
    """masked."""
    density: Share = 0.15
    """Share of the tokens that are to be said; a document has one at least."""
    mask_share: float = Field(default=0.8, ge=0, le=1)
    """Share of them that the mask token hides."""
    random_share: float = Field(default=0.1, ge=0, le=1)
    """Share of them that another token replaces; the rest stays as it is."""

    @model_validator(mode="after")
    def _shares_fit(self) -> MaskedSpec:
        if self.mask_share + self.random_share > 1:
            raise ValueError(
                "mask_share and random_share are more than 1 together; the usual ones are 0.8, 0.1"
            )
        return self


class CausalSpec(_Objective):
    """A decoder says every next token (GPT)."""

    kind: Literal["causal"] = "causal"
    """causal."""


class PrefixSpec(_Objective):
    """The beginning of a document is given, the rest is to be said (T5's prefix LM).

    The beginning is one token long, all but one, or anything between. A decoder reads it itself.
    """

    kind: Literal["prefix"] = "prefix"
    """prefix."""


class SpansSpec(_Objective):
    """Spans are replaced by sentinels, and a decoder says what stood there (T5)."""

    kind: Literal["spans"] = "spans"
    """spans."""
    density: Share = 0.15
    """Share of the tokens that are replaced."""
    mean_span: SpanLength = 3.0
    """Mean length of a span in tokens."""
    random_roll: bool = True
    """Turn the layout of spans by a random number of tokens. Without it, as in T5, the end of a
    short text is always replaced and its beginning never."""


class DeshuffleSpec(_Objective):
    """Tokens or sentences come in random order, and a decoder says the text."""

    kind: Literal["deshuffle"] = "deshuffle"
    """deshuffle."""
    of: Literal["tokens", "sentences"] = "tokens"
    """What is shuffled: tokens as in T5's study, sentences as in BART."""


class InfillSpec(_Objective):
    """Spans are replaced by one mask token each, and a decoder says the whole text (BART).

    mBART is `density: 0.35, mean_span: 3.5, language_tokens: true`.
    """

    kind: Literal["infill"] = "infill"
    """infill."""
    density: Share = 0.3
    """Share of the tokens that are replaced."""
    mean_span: SpanLength = 3.0
    """Mean of the Poisson law of lengths; a span of length 0 only inserts a mask token."""
    permute_sentences: bool = True
    """Put the sentences that the encoder reads in random order."""
    language_tokens: bool = False
    """Put the token of the document's language at the end of what is read and what is said."""


class DenoiseSpec(_Objective):
    """Spans are dropped without a trace, and a decoder says the whole text (AlexaTM)."""

    kind: Literal["denoise"] = "denoise"
    """denoise."""
    density: Share = 0.15
    """Share of the tokens that are dropped."""
    mean_span: SpanLength = 3.0
    """Mean of the Poisson law of lengths."""


class ContinueSpec(_Objective):
    """An encoder reads a marker and the beginning of a document, a decoder goes on (AlexaTM)."""

    kind: Literal["continue"] = "continue"
    """continue."""
    shortest: float = Field(default=0.2, ge=0, le=1)
    """Smallest share of the document that is given."""
    longest: float = Field(default=0.8, ge=0, le=1)
    """Largest share of the document that is given."""

    @model_validator(mode="after")
    def _shares_are_in_order(self) -> ContinueSpec:
        if self.shortest > self.longest:
            raise ValueError("shortest is above longest; the published ones are 0.2 and 0.8")
        return self


ObjectiveSpec = Annotated[
    MaskedSpec
    | CausalSpec
    | PrefixSpec
    | SpansSpec
    | DeshuffleSpec
    | InfillSpec
    | DenoiseSpec
    | ContinueSpec,
    Field(discriminator="kind"),
]
"""One objective of a recipe; `kind` says which."""

ALEXATM_MIXTURE: tuple[ObjectiveSpec, ...] = (DenoiseSpec(weight=0.8), ContinueSpec(weight=0.2))
"""Soltan et al. 2022 (arXiv:2208.01448), section 2."""
