"""What a recipe says about the texts a finished model writes."""

from __future__ import annotations

from pydantic import Field

from hunmin.core.spec import Spec
from hunmin.serving.spec import SamplingParams


class PromptSpec(Spec):
    """The beginning of a text."""

    language: str
    """BCP 47 tag, shown beside the text."""
    text: str
    """The model writes on from here; empty for a text from its very beginning."""


class GenerateSpec(Spec):
    """Texts the model writes when it is finished."""

    prompts: tuple[PromptSpec, ...] | None = None
    """Beginnings of texts; null takes the first words of held-out documents."""
    num_languages: int = Field(4, ge=1)
    """When prompts are taken from held-out documents: from how many languages, largest first."""
    prompt_words: int = Field(2, ge=1)
    """When prompts are taken from held-out documents: words (or a third of the characters, where
    words are not separated by spaces) of each."""
    num_samples: int = Field(2, ge=1)
    """Texts per prompt."""
    sampling: SamplingParams = SamplingParams(
        temperature=0.7, top_p=0.95, max_tokens=48, repetition_penalty=1.1, seed=17
    )
    """How tokens are chosen."""
