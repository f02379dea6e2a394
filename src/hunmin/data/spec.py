"""What a recipe may say about token shards and batches."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, model_validator

from hunmin.core.spec import Count, Spec
from hunmin.data.objectives.spec import ObjectiveSpec

MIN_CONTEXT = 8

MixBy = Literal["language", "source", "language and source", "none"]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Factor = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def _at_least_one(objectives: tuple[ObjectiveSpec, ...]) -> tuple[ObjectiveSpec, ...]:
    if not objectives:
        raise ValueError("name at least one objective, or leave the key out for the usual one")
    return objectives


Objectives = Annotated[tuple[ObjectiveSpec, ...], AfterValidator(_at_least_one)]


class DataSpec(Spec):
    """How documents become token shards, and how batches are drawn from them."""

    INDIFFERENT: ClassVar[frozenset[str]] = frozenset({"num_workers"})
    SHARD_KEYS: ClassVar[frozenset[str]] = frozenset({"mix_by", "seed", "shard_max_tokens"})
    """Keys that decide what is in the shards; the others say how batches are drawn from them."""

    context: int = Field(default=1024, ge=MIN_CONTEXT)
    """Tokens in a row of a batch. Longer shows the model more at once and costs more attention;
    short utterances need no more than 256."""
    mix_by: MixBy = "language"
    """What a group is, among which the keys below divide the samples. With `language and source`
    the source `wikipedia` in Korean is the group `ko/wikipedia`, and the language `ko`, the source
    `wikipedia` and the group can all be named."""
    weights: dict[str, Weight] | None = None
    """Share of the samples by name of a language, source or group: `{ko: 0.6}`. What is not named
    divides the rest by its tokens; if all are named only their proportions count. 0 leaves out all
    that has the name, whatever else is said: to see what a source is worth, train without it."""
    upweight: dict[str, Factor] | None = None
    """Times the documents of a language, source or group count: with `{wikipedia: 10}` as if each
    of its documents were there ten times. Factors of a group's language and source are multiplied.
    Weights are divided among the groups they name by these counts; a temperature below 1 flattens
    them like any size."""
    temperature: float = Field(default=1.0, ge=0, le=1)
    """Share of a group: its tokens to this power. 1 keeps the proportions of the data, 0.5 helps
    small languages, 0 treats all alike. Small groups are then repeated more often. With `language
    and source` it is about languages."""
    source_temperature: float = Field(default=1.0, ge=0, le=1)
    """With `language and source`: the same for the sources within each language."""
    max_epochs: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Most times a group is read in the run; 4 is advised, since more repeats teach little. What a
    group cannot take goes to the other sources of its language, then to the other languages, by
    the shares they have. None: no limit, and a warning above 4."""
    cross_document_attention: bool = False
    """Let tokens see earlier documents in the same row, and count positions through. Slightly
    faster; the model then learns from unrelated text before it."""
    objectives: Objectives | None = None
    """What the model is taught, drawn for each row by weight: `[{kind: denoise, weight: 0.8},
    {kind: continue, weight: 0.2}]`. Encoders: masked. Decoders: causal, prefix. Encoder-decoders:
    denoise, continue, infill, spans, deshuffle, prefix. None: masked for an encoder, causal for a
    decoder, the mixture above for an encoder-decoder. Most need tokens that `tokenizer.reserve`
    keeps free; the shards stay the same."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Decides the order of documents in shards, and of samples and corruptions in training."""
    shard_max_tokens: Count = Field(default=200_000_000, ge=1)
    """Largest shard; a document is never cut, so one longer than this gets a shard of its own."""
    num_workers: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Processes that tokenize; "auto" is one per core, or one when there is little to do. The
    result does not depend on it."""

    @model_validator(mode="after")
    def _names_need_groups(self) -> DataSpec:
        for name, given in (("weights", self.weights), ("upweight", self.upweight)):
            if given is not None and self.mix_by == "none":
                raise ValueError(f"{name}: no groups to name; set mix_by to language or source")
        if self.source_temperature != 1 and self.mix_by != "language and source":
            raise ValueError(
                "source_temperature is for mix_by: language and source; with another mix_by the "
                "key is temperature"
            )
        return self


class DataChanges(Spec):
    """What a later stage changes of how batches are drawn; what is left out stays as it is.

    The shards stay: a teacher, its second stage and its students learn from the same ones.
    """

    weights: dict[str, Weight] | None = None
    """Share of the samples by name of a language, source or group, instead of `data.weights`;
    `{}` takes those away."""
    upweight: dict[str, Factor] | None = None
    """Times the documents of a language, source or group count, instead of `data.upweight`."""
    temperature: float | None = Field(default=None, ge=0, le=1)
    """Share of a group: its tokens to this power, instead of `data.temperature`."""
    source_temperature: float | None = Field(default=None, ge=0, le=1)
    """The same for the sources of a language, instead of `data.source_temperature`."""
    max_epochs: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Most times a group is read in this stage, instead of `data.max_epochs`."""
    context: int | None = Field(default=None, ge=MIN_CONTEXT)
    """Tokens in a row, instead of `data.context`; at most the positions of the model."""
    objectives: Objectives | None = None
    """What the model is taught in this stage, instead of `data.objectives`."""

    def apply(self, data: DataSpec) -> DataSpec:
        """Return the section `data` with these changes.

        Args:
            data: What the recipe says for the first stage.

        Returns:
            A section that is checked anew.
        """
        given = self.model_dump(exclude_none=True)
        return DataSpec.model_validate(data.model_dump() | given)
