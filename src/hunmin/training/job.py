"""TrainJob: what a training stage is given, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hunmin.core.artifact import Artifact
from hunmin.core.hashing import stable_hash
from hunmin.core.spec import Spec
from hunmin.data.mixing import MixturePlan, mix_split
from hunmin.data.spec import DataSpec
from hunmin.data.tokens import open_tokens, split_facts
from hunmin.models.spec import ModelSpec
from hunmin.parallel.spec import ParallelSpec
from hunmin.training.method import Method, Pretraining
from hunmin.training.plan import TrainPlan, derive_plan
from hunmin.training.spec import TrainSpec


@dataclass(frozen=True)
class TrainJob:
    """What a training stage is given.

    Args:
        train: How to train.
        model: Which model.
        data: How sequences are cut and mixed.
        tokens: Token shards.
        tokenizer: The tokenizer they were written with.
        folder: Where metrics and checkpoints go.
        output: Where the model artifact goes.
        recipe: Recorded in the model's manifest.
        parallel: How it is spread over devices.
        method: What it starts from and what it is taught.
    """

    train: TrainSpec
    model: ModelSpec
    data: DataSpec
    tokens: Artifact
    tokenizer: Artifact
    folder: Path
    output: Path
    recipe: dict[str, Any]
    parallel: ParallelSpec = field(default_factory=ParallelSpec)
    method: Method = field(default_factory=Pretraining)

    def identity(self) -> str:
        """Return a hash of all that decides the course of the losses."""
        decisive = self.train.model_dump(mode="json", exclude=set(TrainSpec.OBSERVING))
        data = self.data.model_dump(mode="json", exclude=set(self.data.INDIFFERENT))
        parts = [decisive, self.model.model_dump(mode="json"), data]
        own = self.method.identity()
        parts += [] if own is None else [own]
        return stable_hash([*parts, self.tokens.digest, self.tokenizer.digest])

    def facts(self) -> dict[str, Any]:
        """Return what every rank must have been given alike, as a JSON value."""
        sections: dict[str, Spec] = {"train": self.train, "model": self.model}
        sections |= {"data": self.data, "parallel": self.parallel}
        values = {name: spec.model_dump(mode="json") for name, spec in sections.items()}
        digests = {"tokens": self.tokens.digest, "tokenizer": self.tokenizer.digest}
        return {**values, **digests, "method": self.method.identity()}

    def plan(self, data_ranks: int = 1) -> TrainPlan:
        """Derive the plan from the recipe, the number of tokens and that of ranks."""
        tokens = split_facts(self.tokens, open_tokens(self.tokens), "train").tokens
        return derive_plan(
            self.train, context=self.data.context, train_tokens=tokens, data_ranks=data_ranks
        )

    def mixture(self, plan: TrainPlan) -> MixturePlan:
        """Return what the run takes from each group of the training documents."""
        facts = open_tokens(self.tokens)
        split = split_facts(self.tokens, facts, "train")
        return mix_split(facts, split, self.data, plan.total_tokens)
