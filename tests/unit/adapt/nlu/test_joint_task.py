"""What the heads learn does not depend on how a batch is cut, and a teacher is laid on tokens."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.unit.adapt.nlu.conftest import byte_tokenizer

from hunmin.adapt.nlu.encode import UtteranceEncoder
from hunmin.adapt.nlu.examples import collate, make_examples
from hunmin.adapt.nlu.joint_task import JointTask
from hunmin.adapt.nlu.model import NluModel
from hunmin.adapt.nlu.prepare import Prepared, prepare
from hunmin.adapt.nlu.spec import NluSpec
from hunmin.adapt.nlu.teaching import ask_teacher


def ready(data: Path, body: Path, **keys: object) -> tuple[JointTask, Prepared]:
    spec = NluSpec.model_validate({"data": (data,), "pooling": "mean", **keys})
    made = prepare(spec, body, torch.device("cpu"))
    made.network.eval()
    return made.task(), made


def model_of(made: Prepared) -> NluModel:
    return NluModel(made.network, made.config, made.encoder)


@pytest.mark.parametrize("crf", [False, True])
def test_a_batch_in_parts_has_the_gradient_of_the_whole(
    crf: bool, data_folder: Path, body_folder: Path
) -> None:
    task, made = ready(data_folder, body_folder, crf=crf)
    task.answers = ask_teacher(model_of(made), task.examples)
    with torch.no_grad():
        for parameter in made.network.slots.parameters():
            parameter.mul_(2)
    whole = np.arange(11)
    gradients = []
    for parts in ([whole], [whole[:2], whole[2:9], whole[9:]]):
        task.network.zero_grad()
        for rows in parts:
            task.loss(rows, whole)[0].backward()
        gradients.append([p.grad.clone() for p in made.network.parameters() if p.grad is not None])
    for once, summed in zip(*gradients, strict=True):
        torch.testing.assert_close(once, summed, rtol=1e-4, atol=1e-6)


def test_only_places_are_scored(data_folder: Path, body_folder: Path) -> None:
    task, made = ready(data_folder, body_folder)
    batch = collate(task.examples, np.arange(5), made.config.pad_id)
    assert ((batch.tags >= 0).sum(1) == batch.is_place.sum(1)).all()
    assert (batch.tags[:, 0] < 0).all(), "the boundary token has no tag"
    assert (batch.tags[batch.attention_mask == 0] < 0).all()


def test_a_teacher_with_other_tokens_speaks_where_both_begin(
    data_folder: Path, body_folder: Path
) -> None:
    """Elsewhere the beginning of a slot would mean different things."""
    task, made = ready(data_folder, body_folder)
    same = ask_teacher(model_of(made), task.examples)
    assert all(has.all() for has in same.has_slots)
    finer = UtteranceEncoder(byte_tokenizer(300), made.config)
    examples = make_examples(made.data.train, finer, made.config).rows
    other = ask_teacher(model_of(made), examples)
    assert not all(has.all() for has in other.has_slots), "the tokenizers agree everywhere"
    for ours, theirs, has, slots in zip(
        examples, task.examples, other.has_slots, other.slots, strict=True
    ):
        assert ours.encoded.starts[has].tolist() == theirs.encoded.starts.tolist()
        assert (slots[~has] == 0).all()


def test_what_a_teacher_says_is_laid_on_the_right_tokens(
    data_folder: Path, body_folder: Path
) -> None:
    """A student that is its own teacher has nothing to learn from it; another one has."""
    task, made = ready(data_folder, body_folder)
    with torch.no_grad():
        # Random heads hardly prefer any tag; these do.
        for head in (made.network.intent, made.network.slots):
            for parameter in head.parameters():
                parameter.mul_(20)
    answers = ask_teacher(model_of(made), task.examples)
    whole = np.arange(9)
    batch = collate(task.examples, whole, made.config.pad_id)
    ids, mask = torch.from_numpy(batch.input_ids), torch.from_numpy(batch.attention_mask)
    with torch.no_grad():
        intents, slots = made.network(ids, mask)
    near = answers.loss(batch, whole, intents, slots, 2.0)
    far = answers.loss(batch, whole, intents.flip(0), slots.flip(1), 2.0)
    assert max(float(part) for part in near) < 1e-4
    assert min(float(part) for part in far) > 1e-2
