"""Distillation as a method of training."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import nn
from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel

from hunmin.adapt.distill.cache import (
    AnswerCache,
    CacheIdentity,
    data_identity,
    taught_loader,
    write_answers,
)
from hunmin.adapt.distill.initialise import initialise_from_teacher
from hunmin.adapt.distill.objective import DistillationObjective
from hunmin.adapt.distill.spec import DistillSpec
from hunmin.adapt.distill.teacher import Teacher, load_teacher, teacher_digest
from hunmin.core.artifact import Artifact
from hunmin.core.errors import ContextLengthError, InputError, VocabularyError
from hunmin.core.logs import get_logger
from hunmin.data.objectives.base import Layout
from hunmin.data.objectives.kinds import a_model
from hunmin.models.architecture import layout_of
from hunmin.models.build import model_config
from hunmin.models.devices import pick_device
from hunmin.models.load import load_language_model
from hunmin.models.outputs import output_projection
from hunmin.tokenizer.load import TextTokenizer, load_tokenizer

if TYPE_CHECKING:
    from hunmin.training.job import TrainJob

logger = get_logger(__name__)


@dataclass(frozen=True)
class Distillation:
    """A student of the recipe's shape, taught by a teacher.

    Args:
        spec: The student's section; `job.model`, `job.train` and `job.data` are made from it.
        teacher: A model artifact, or any Hugging Face folder with the tokenizer of the tokens.
    """

    spec: DistillSpec
    teacher: Artifact | Path

    @property
    def inputs(self) -> tuple[Artifact, ...]:
        """The teacher, if it is an artifact."""
        return (self.teacher,) if isinstance(self.teacher, Artifact) else ()

    @property
    def folder(self) -> Path:
        """Folder of the teacher."""
        return self.teacher.path if isinstance(self.teacher, Artifact) else self.teacher

    @cached_property
    def digest(self) -> str:
        """Identity of the teacher's weights."""
        if isinstance(self.teacher, Artifact):
            return self.teacher.digest
        return teacher_digest(self.folder)

    def identity(self) -> Any:
        """Return the teacher and what is learned from it."""
        names = {"losses", "initialization", "layers"}
        kept = None if self.spec.cache is None else self.spec.cache.top_k
        own = self.spec.model_dump(mode="json", include=names)
        return {"teacher": self.digest, "top_k": kept, **own}

    def config(self, job: TrainJob, tokenizer: TextTokenizer) -> PreTrainedConfig:
        """Return the configuration of the student.

        Args:
            job: What is trained on what.
            tokenizer: The one that made the tokens.

        Returns:
            The configuration.

        Raises:
            VocabularyError: The teacher has another tokenizer than the tokens.
            ContextLengthError: The rows are longer than the teacher has positions.
            InputError: The student is a model of another kind than its teacher.
        """
        _check_tokenizer(self.folder, tokenizer)
        teacher: PreTrainedConfig = AutoConfig.from_pretrained(self.folder)
        config = model_config(
            job.model,
            vocab_size=tokenizer.size,
            context=job.data.context,
            boundary_id=tokenizer.boundary_id,
            pad_id=tokenizer.pad_id,
        )
        _check_kinds(config, teacher, self.folder)
        _check_positions(teacher, job.data.context, self.folder)
        self._check_on_policy(config)
        return config

    def initialize(self, model: PreTrainedModel) -> None:
        """Fill the student with what it takes from its teacher, each rank its own part."""
        if self.spec.initialization == "scratch":
            return
        teacher = load_language_model(self.folder, verify=False)
        facts = initialise_from_teacher(model, teacher, self.spec.initialization, self.spec.layers)
        share = 100 * facts.copied / max(1, facts.total)
        logger.info("%.0f %% of the student's weights come from its teacher", share)

    def objective(self, model: PreTrainedModel, job: TrainJob, device: torch.device) -> nn.Module:
        """Return the student's loss; the teacher is loaded unless its answers are cached.

        Args:
            model: The student.
            job: What is trained on what.
            device: Where the batches will be.

        Returns:
            The loss as a module; what it holds besides the student is learned with it.

        Raises:
            InputError: What is to be compared is split over ranks.
        """
        self._check_split(job)
        teacher = None if self.spec.cache is not None else self._load(device)
        rows = [int(output_projection(model)[0].shape[0]), load_tokenizer(job.tokenizer.path).size]
        rows += [] if teacher is None else [teacher.vocabulary]
        objective = DistillationObjective(
            model,
            teacher,
            self.spec.losses,
            size=min(rows),
            chunk_places=job.train.loss_chunk_tokens,
        )
        objective.projections.to(device)
        return objective

    def batches(self, loader: Any, job: TrainJob) -> Any:
        """Return the loader, or with `cache` one whose batches carry the teacher's answers.

        Note:
            Collective with several ranks if answers are missing: they share the work.
        """
        if self.spec.cache is None:
            return loader
        cache = AnswerCache(self._cache_folder(job), self._cache_identity(loader, job))
        plan = job.plan()
        samples = plan.num_steps * plan.sequences_per_step
        rank, size = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
        if cache.missing(samples):
            device = pick_device()
            rows = max(1, job.train.microbatch_tokens // job.data.context)
            write_answers(
                cache,
                self._load(device),
                loader,
                samples,
                device=device,
                rows_at_once=rows,
                rank=rank,
                world_size=size,
            )
        if size > 1:
            dist.barrier()
        return taught_loader(loader, cache)

    def _load(self, device: torch.device) -> Teacher:
        return load_teacher(
            self.folder, device=device, precision=self.spec.teacher_precision, verify=False
        )

    def _cache_folder(self, job: TrainJob) -> Path:
        given = None if self.spec.cache is None else self.spec.cache.folder
        return given or job.folder / "answers"

    def _cache_identity(self, loader: Any, job: TrainJob) -> CacheIdentity:
        losses, cache = self.spec.losses, self.spec.cache
        return CacheIdentity(
            teacher=self.digest,
            data=data_identity(loader),
            top_k=0 if cache is None else cache.top_k,
            size=load_tokenizer(job.tokenizer.path).size,
            temperature=losses.temperature,
            positions=losses.positions,
        )

    def _check_split(self, job: TrainJob) -> None:
        """Hidden states are whole on each rank; queries, keys and values are not."""
        if self.spec.losses.relations and job.parallel.tensor > 1:
            raise InputError(
                "relations need all heads of a layer, of which each rank has some where matrices "
                "are split",
                where="student.losses.relations",
                given=f"parallel.tensor {job.parallel.tensor}",
                allowed="parallel.tensor 1, with partition groups of any size, or relations: 0",
                hint="raise parallel.partition_group instead of parallel.tensor",
            )

    def _check_on_policy(self, config: PreTrainedConfig) -> None:
        if not self.spec.losses.on_policy:
            return
        if layout_of(config) is not Layout.NEXT_TOKEN:
            raise InputError(
                "only decoders write on from a text",
                where="student.losses.on_policy",
                given=a_model(layout_of(config).model_kind),
                allowed="0",
            )
        if dist.is_initialized() and dist.get_world_size() > 1:
            raise InputError(
                "a student that is spread over processes cannot write its own continuations",
                where="student.losses.on_policy",
                given=f"{dist.get_world_size()} processes",
                allowed="one process, or on_policy: 0",
            )


def _check_tokenizer(folder: Path, tokenizer: TextTokenizer) -> None:
    own = load_tokenizer(folder)
    if own.digest != tokenizer.digest:
        raise VocabularyError(
            "teacher and student have different tokenizers, so their logits cannot be compared",
            where=folder,
            given=f"tokenizer {own.digest[:12]}… with {own.size} ids",
            allowed=f"tokenizer {tokenizer.digest[:12]}… with {tokenizer.size} ids",
            hint="make the shards with the teacher's tokenizer: `hunmin tokenizer import TEACHER "
            "--output FOLDER` and use.tokenizer=FOLDER (`hunmin distill trim` makes it smaller "
            "before), or let the teacher write text for the student: `hunmin distill text`",
        )


def _check_kinds(config: PreTrainedConfig, teacher: PreTrainedConfig, folder: Path) -> None:
    own, other = layout_of(config), layout_of(teacher)
    if own is not other:
        raise InputError(
            "student and teacher are models of different kinds",
            where=folder,
            given=f"student: {own.model_kind}, teacher: {other.model_kind}",
            allowed=f"a student that is {a_model(other.model_kind)}",
            hint="choose another student.model.preset",
        )


def _check_positions(teacher: PreTrainedConfig, context: int, folder: Path) -> None:
    positions = getattr(teacher, "max_position_embeddings", None) or context
    if context > positions:
        raise ContextLengthError(
            "the rows are longer than the teacher has positions",
            where=folder,
            given=f"{context} tokens",
            allowed=f"up to {positions}",
            hint="set student.data.context to what the teacher can read",
        )
