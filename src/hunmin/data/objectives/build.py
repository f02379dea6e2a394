"""From what a recipe says to the objective that corrupts documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hunmin.core.errors import InputError, VocabularyError
from hunmin.data.objectives.base import Layout, Objective
from hunmin.data.objectives.continuation import (
    CausalLanguageModel,
    MarkedContinuation,
    PrefixLanguageModel,
)
from hunmin.data.objectives.denoising import TextInfilling
from hunmin.data.objectives.kinds import OBJECTIVES_KEY
from hunmin.data.objectives.masking import MaskedLanguageModel
from hunmin.data.objectives.mixture import ObjectiveMixture
from hunmin.data.objectives.ordering import SentenceDeshuffling, TokenDeshuffling
from hunmin.data.objectives.spans import SpanFilling, span_counts
from hunmin.data.objectives.spec import (
    CausalSpec,
    ContinueSpec,
    DenoiseSpec,
    DeshuffleSpec,
    InfillSpec,
    MaskedSpec,
    ObjectiveSpec,
    PrefixSpec,
    SpansSpec,
)
from hunmin.tokenizer.load import TextTokenizer
from hunmin.tokenizer.reserved import CONTINUE_TOKEN, Purpose, language_token, sentinel_tokens


def make_objective(
    specs: Sequence[ObjectiveSpec],
    tokenizer: TextTokenizer,
    layout: Layout,
    *,
    context: int,
    seed: int,
) -> ObjectiveMixture:
    """Make the objectives of a recipe.

    Args:
        specs: At least one, which suit the layout (see `choose_objectives`).
        tokenizer: The one that made the shards; it has the tokens that the objectives put in.
        layout: What the model is.
        context: Longest document in tokens, with its boundary token.
        seed: Decides every choice.

    Returns:
        The objectives with their weights.

    Raises:
        VocabularyError: The tokenizer has no token that an objective needs.
        InputError: A document may have more spans than there are sentinels.
    """
    builder = _Builder(tokenizer, layout, context, seed)
    objectives = [
        builder.make(spec, f"{OBJECTIVES_KEY}.{number}") for number, spec in enumerate(specs)
    ]
    return ObjectiveMixture(tuple(objectives), tuple(spec.weight for spec in specs), seed)


def find_language_ids(tokenizer: TextTokenizer, languages: Sequence[str]) -> list[int]:
    """Return the token of each language.

    Args:
        tokenizer: The one that made the shards.
        languages: Their tags.

    Returns:
        Ids.

    Raises:
        VocabularyError: The tokenizer lacks some.
    """
    names = [language_token(language) for language in languages]
    return _find(tokenizer, names, "languages", f"{OBJECTIVES_KEY}: language_tokens")


@dataclass(frozen=True)
class _Builder:
    """Makes objectives; `where` is the key of the recipe that errors name."""

    tokenizer: TextTokenizer
    layout: Layout
    context: int
    seed: int

    def make(self, spec: ObjectiveSpec, where: str) -> Objective:
        match spec:
            case MaskedSpec():
                return self._masked(spec, where)
            case CausalSpec():
                return CausalLanguageModel()
            case PrefixSpec():
                return PrefixLanguageModel(self.layout is Layout.NEXT_TOKEN, self.seed)
            case SpansSpec():
                return self._spans(spec, where)
            case DeshuffleSpec():
                shuffle = TokenDeshuffling if spec.of == "tokens" else SentenceDeshuffling
                return shuffle(self.seed)
            case InfillSpec():
                return self._infilling(spec, where)
            case DenoiseSpec():
                return TextInfilling(spec.density, spec.mean_span, None, seed=self.seed)
            case ContinueSpec():
                (marker,) = _find(self.tokenizer, [CONTINUE_TOKEN], "continue", where)
                return MarkedContinuation(marker, spec.shortest, spec.longest, self.seed)

    def _masked(self, spec: MaskedSpec, where: str) -> MaskedLanguageModel:
        return MaskedLanguageModel(
            num_ids=self.tokenizer.size,
            mask_id=_mask(self.tokenizer, where),
            special_ids=tuple(sorted(self.tokenizer.special_ids)),
            density=spec.density,
            mask_share=spec.mask_share,
            random_share=spec.random_share,
            seed=self.seed,
        )

    def _infilling(self, spec: InfillSpec, where: str) -> TextInfilling:
        return TextInfilling(
            spec.density,
            spec.mean_span,
            _mask(self.tokenizer, where),
            permute_sentences=spec.permute_sentences,
            language_ids=spec.language_tokens,
            seed=self.seed,
        )

    def _spans(self, spec: SpansSpec, where: str) -> SpanFilling:
        sentinels = tuple(_find(self.tokenizer, sentinel_tokens(), "spans", where))
        longest = np.array([self.context - 1])
        _, (num_spans,) = span_counts(longest, spec.density, spec.mean_span)
        # Turning the layout may cut a span in two, and a final sentinel ends the targets.
        needed = int(num_spans) + int(spec.random_roll) + 1
        if needed > len(sentinels):
            raise InputError(
                "a document may have more spans than there are sentinels",
                where=where,
                given=f"{needed - 1} spans in a context of {self.context} tokens",
                allowed=f"{len(sentinels) - 1} spans and a final sentinel",
                hint="raise mean_span, or lower density or data.context",
            )
        return SpanFilling(sentinels, spec.density, spec.mean_span, spec.random_roll, self.seed)


def _mask(tokenizer: TextTokenizer, where: str) -> int:
    if tokenizer.mask_id is None:
        raise _missing("a mask token", "mask", where)
    return tokenizer.mask_id


def _find(
    tokenizer: TextTokenizer, names: Sequence[str], purpose: Purpose, where: str
) -> list[int]:
    ids = [tokenizer.token_id(name) for name in names]
    missing = [name for name, found in zip(names, ids, strict=True) if found is None]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise _missing(f"{missing[0]}{more}", purpose, where)
    return [found for found in ids if found is not None]


def _missing(given: str, purpose: Purpose, where: str) -> VocabularyError:
    return VocabularyError(
        "the tokenizer lacks a token that this objective puts in",
        where=where,
        given=f"a tokenizer without {given}",
        hint=f"set tokenizer.reserve: [{purpose}] and make tokenizer and shards again, or change "
        "the objective",
    )
