"""All that a fine-tuning needs before its first step: utterances, labels, examples, the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PreTrainedModel

from hunmin.adapt.nlu.body import context_of, load_body, with_dropout
from hunmin.adapt.nlu.config import NluConfig
from hunmin.adapt.nlu.data_set import DataSet, read_data
from hunmin.adapt.nlu.encode import UtteranceEncoder, open_tokenizer
from hunmin.adapt.nlu.examples import Examples, frame_of, label_config, make_examples
from hunmin.adapt.nlu.joint_task import JointTask
from hunmin.adapt.nlu.model import JointModel, NluModel, check_feature_layer, load_nlu_model
from hunmin.adapt.nlu.spec import NluSpec
from hunmin.adapt.nlu.teaching import TeacherAnswers, ask_teacher, check_teacher
from hunmin.core.artifact import Artifact
from hunmin.core.errors import InputError
from hunmin.core.logs import get_logger
from hunmin.tokenizer.extend import known_inputs

logger = get_logger(__name__)


@dataclass(frozen=True)
class Prepared:
    """All that a run needs, before the first step.

    Args:
        spec: Settings.
        data: Utterances.
        config: Labels and shape.
        encoder: Encodes texts.
        examples: What is learnt.
        network: The model, on its device.
        answers: A teacher's answers, if there is one.
        inputs: Artifacts that the model is made from.
    """

    spec: NluSpec
    data: DataSet
    config: NluConfig
    encoder: UtteranceEncoder
    examples: Examples
    network: JointModel
    answers: TeacherAnswers | None
    inputs: tuple[Artifact, ...]

    def task(self) -> JointTask:
        """Return what is fitted."""
        return JointTask(
            self.spec,
            self.network,
            self.config,
            self.encoder,
            self.examples.rows,
            self.data.dev,
            self.answers,
        )


def prepare(spec: NluSpec, body_path: Path, device: torch.device) -> Prepared:
    """Read data and body, and build the model.

    Args:
        spec: Data and settings.
        body_path: Folder of the body with its tokenizer.
        device: Where the model shall lie.

    Returns:
        All that a run needs.

    Raises:
        InputError: Data, body or teacher cannot be used.
    """
    data = read_data(spec)
    teacher = None if spec.teacher is None else load_nlu_model(spec.teacher, device=device)
    intents, slot_types = _labels(data, teacher, spec)
    body = load_body(body_path)
    check_feature_layer(body, spec.feature_layer)
    config = make_config(spec, body, body_path, data, intents, slot_types)
    check_pooling(body, config)
    encoder = UtteranceEncoder.load(body_path, config)
    examples = make_examples(data.train, encoder, config)
    _say_what_is_lost(examples)
    network = _build_network(spec, body, config).to(device)
    answers = None if teacher is None else ask_teacher(teacher, examples.rows)
    folders = [body_path] if spec.teacher is None else [body_path, spec.teacher]
    inputs = tuple(known_inputs(*folders))
    return Prepared(spec, data, config, encoder, examples, network, answers, inputs)


def _labels(
    data: DataSet, teacher: NluModel | None, spec: NluSpec
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return intents and slot types: those of the data, or all that a teacher knows."""
    intents, slot_types = label_config(data.train)
    if teacher is None:
        return intents, slot_types
    check_teacher(teacher, intents, slot_types, where=str(spec.teacher))
    return teacher.config.intents, teacher.config.slot_types


def _build_network(spec: NluSpec, body: PreTrainedModel, config: NluConfig) -> JointModel:
    torch.manual_seed(spec.seed)
    body = with_dropout(body, spec.hidden_dropout, spec.attention_dropout)
    network = JointModel(body, config, dropout=spec.head_dropout)
    if spec.freeze_embeddings:
        network.body.get_input_embeddings().requires_grad_(requires_grad=False)
    return network


def make_config(
    spec: NluSpec,
    body: PreTrainedModel,
    folder: Path,
    data: DataSet,
    intents: Sequence[str],
    slot_types: Sequence[str],
) -> NluConfig:
    """Return nlu.json of a model to be.

    Args:
        spec: Settings.
        body: The body, which limits how many tokens are read.
        folder: Folder of the tokenizer.
        data: Locales of training and selection.
        intents: Intents by their number.
        slot_types: Slot types in order.

    Returns:
        The configuration.
    """
    prefix, suffix, pad = frame_of(folder, open_tokenizer(folder))
    limit = context_of(body) or spec.max_tokens
    return NluConfig(
        intents=tuple(intents),
        slot_types=tuple(slot_types),
        pooling=spec.pooling,
        feature_layer=spec.feature_layer,
        head_layers=spec.head_layers,
        head_width=spec.head_width,
        crf=spec.crf,
        labelling=spec.labelling,
        text_form=spec.text_form,
        max_tokens=min(spec.max_tokens, limit),
        prefix_ids=prefix,
        suffix_ids=suffix,
        pad_id=pad,
        train_locales=data.train_locales,
        selection_locales=data.selection_locales,
    )


@torch.no_grad()
def check_pooling(body: PreTrainedModel, config: NluConfig) -> None:
    """Refuse to read the intent from a token that has seen no other.

    Args:
        body: The body.
        config: The pooling.

    Raises:
        InputError: The pooling is `first`, and the first token of this body sees nothing.
    """
    if config.pooling != "first":
        return
    size = int(body.config.vocab_size)
    first = config.prefix_ids[0] if config.prefix_ids else 0
    ids = torch.tensor([[first, size // 3, size // 4], [first, size // 2, size // 5]])
    states = body(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
    if torch.equal(states[0, 0], states[1, 0]):
        raise InputError(
            "in this body the first token does not see what follows it",
            where="nlu.pooling",
            given=f"first, with a {type(body).__name__}",
            allowed="last, mean or max for a decoder",
            hint="set pooling to last, or take an encoder",
        )


def _say_what_is_lost(examples: Examples) -> None:
    if examples.num_conflicts:
        logger.warning(
            "%d utterances are left out: two of their slots would share a tag",
            examples.num_conflicts,
        )
    if examples.num_truncated:
        logger.warning(
            "%d utterances are longer than nlu.max_tokens and are read only in part",
            examples.num_truncated,
        )
