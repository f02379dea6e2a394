"""The whole recipe: one section per stage."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from hunmin.adapt.distill.spec import DistillSpec
from hunmin.adapt.nlu.spec import NluSpec
from hunmin.adapt.spec import Stage2Spec
from hunmin.core.recipe import LoadedRecipe, load_recipe
from hunmin.core.spec import Spec
from hunmin.corpus.spec import CorpusSpec
from hunmin.data.spec import DataSpec
from hunmin.evaluation.spec import EvaluateSpec
from hunmin.models.spec import ModelSpec
from hunmin.parallel.spec import ParallelSpec
from hunmin.pipeline.agreement import check_agreement
from hunmin.serving.export.spec import ExportSpec
from hunmin.serving.samples_spec import GenerateSpec
from hunmin.text.remote.address import check_address
from hunmin.tokenizer.spec import TokenizerSpec
from hunmin.training.spec import TrainSpec


class UseSpec(Spec):
    """Finished artifacts of other runs, used instead of running a stage here."""

    corpus: Path | None = None
    """A documents artifact."""
    tokenizer: Path | None = None
    """A tokenizer artifact."""
    data: Path | None = None
    """A tokens artifact."""
    train: Path | None = None
    """A model artifact."""
    stage2: Path | None = None
    """A model artifact that takes the place of the teacher after its second stage."""
    intermediate: Path | None = None
    """A model artifact that takes the place of the intermediate student."""
    student: Path | None = None
    """A model artifact that takes the place of the student."""
    nlu: Path | None = None
    """A fine-tuned model of intents and slots."""


class Recipe(Spec):
    """A run from raw text to a model that speaks; leave out the stages you do not want."""

    name: str = Field(pattern=r"^[\w][\w.-]*$")
    """Name of the run; its results lie in runs/<name>."""
    description: str = ""
    """What the recipe is for, what it costs and what came out."""
    use: UseSpec = UseSpec()
    """Finished artifacts to use instead of running a stage."""
    corpus: CorpusSpec | None = None
    """Raw sources to clean documents."""
    tokenizer: TokenizerSpec | None = None
    """Documents to a tokenizer."""
    data: DataSpec | None = None
    """Documents and tokenizer to token shards, and how they are mixed into batches."""
    model: ModelSpec = ModelSpec()
    """Which model is built."""
    train: TrainSpec | None = None
    """How it is trained."""
    stage2: Stage2Spec | None = None
    """How training goes on with text of the domain the model is for."""
    intermediate: DistillSpec | None = None
    """A student between the teacher and the one that is deployed."""
    student: DistillSpec | None = None
    """The small student that is deployed."""
    nlu: NluSpec | None = None
    """How the last model learns intents and slots, and is tested on every locale."""
    export: ExportSpec | None = None
    """How it becomes files for ONNX Runtime."""
    parallel: ParallelSpec = ParallelSpec()
    """How training is spread over several devices; it does not change what is learnt."""
    evaluate: EvaluateSpec | None = None
    """Scores on held-out documents beside two baselines."""
    generate: GenerateSpec | None = None
    """Texts the model writes, to be read."""

    def has(self, stage: str) -> bool:
        """Tell whether the recipe makes what a stage makes, or takes it from another run."""
        return getattr(self, stage, None) is not None or getattr(self.use, stage, None) is not None


def read_recipe(path: Path, overrides: tuple[str, ...] = ()) -> LoadedRecipe[Recipe]:
    """Read a recipe file with overrides `key.path=value`.

    Args:
        path: The file.
        overrides: Items `key.path=value`.

    Returns:
        The recipe; see `hunmin.core.recipe.load_recipe`.

    Raises:
        RecipeError: It does not say what it must.
        InputError: An address in it holds a password or a key, which every run would copy; or
            sections do not agree, see `agreement.check_agreement`.
    """
    loaded = load_recipe(path, Recipe, overrides)
    if loaded.spec.corpus is not None:
        for address in loaded.spec.corpus.addresses():
            check_address(address)
    check_agreement(loaded.spec)
    return loaded
