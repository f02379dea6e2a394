"""Answers on disk: written once, in any share of the work, and read for any batch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.support.jobs import DATA
from tests.support.tiny_models import tiny_gpt2

from hunmin.adapt.distill import cache as cache_module
from hunmin.adapt.distill.cache import (
    AnswerCache,
    CacheIdentity,
    data_identity,
    taught_loader,
    write_answers,
)
from hunmin.adapt.distill.objective import DistillationObjective
from hunmin.adapt.distill.spec import LossSpec
from hunmin.adapt.distill.teacher import Teacher
from hunmin.core.errors import (
    ArtifactMismatchError,
    CorruptArtifactError,
    DiskFullError,
    InputError,
)
from hunmin.data.loader import TokenLoader

PART, SAMPLES, TOP = 8, 20, 6


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "SAMPLES_PER_PART", PART)


@pytest.fixture
def identity(loader: TokenLoader, size: int) -> CacheIdentity:
    return CacheIdentity("teacher", data_identity(loader), TOP, size, 1.0, "scored")


@pytest.fixture
def teacher(teacher_model) -> Teacher:
    return Teacher(teacher_model)


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def test_answers_are_those_of_the_teacher(tmp_path, loader, identity, teacher, size) -> None:
    cache = AnswerCache(tmp_path / "answers", identity)
    write_answers(cache, teacher, loader, SAMPLES, rows_at_once=3)
    samples = np.array([9, 2, 19])
    ids, values, rest, counts = cache.read(samples)
    batch = loader.make_rows(samples)
    with torch.no_grad():
        hidden = teacher.answer(batch).hidden_BTD.flatten(0, 1)
        log_p = torch.log_softmax(teacher.targets(hidden, size).logits(slice(None)), -1)
    wanted, wanted_ids = log_p.topk(TOP)
    assert counts.tolist() == [DATA.context] * 3
    assert torch.equal(ids.flatten(0, 1).long(), wanted_ids)
    torch.testing.assert_close(values.flatten(0, 1).float(), wanted, rtol=1e-3, atol=1e-3)
    total = values.float().exp().sum(-1) + rest.float().exp()
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=5e-3)


def test_shares_of_two_processes_and_a_resumed_run_give_the_same_files(
    tmp_path, loader, identity, teacher
) -> None:
    alone = AnswerCache(tmp_path / "alone", identity)
    write_answers(alone, teacher, loader, SAMPLES)
    shared = AnswerCache(tmp_path / "shared", identity)
    write_answers(shared, teacher, loader, SAMPLES, rank=1, world_size=2, rows_at_once=5)
    assert shared.missing(SAMPLES) == [0, 2]
    before = content(tmp_path / "shared")
    write_answers(AnswerCache(tmp_path / "shared", identity), teacher, loader, SAMPLES)
    assert before.items() <= content(tmp_path / "shared").items()
    assert content(tmp_path / "shared").keys() == content(tmp_path / "alone").keys()
    samples = np.arange(SAMPLES)
    for mine, theirs in zip(shared.read(samples)[:3], alone.read(samples)[:3], strict=True):
        torch.testing.assert_close(mine.float(), theirs.float(), rtol=1e-2, atol=1e-2)


def test_a_part_without_counts_is_written_again(tmp_path, loader, identity, teacher) -> None:
    cache = AnswerCache(tmp_path / "answers", identity)
    write_answers(cache, teacher, loader, SAMPLES)
    (tmp_path / "answers" / "part-00001.counts.npy").unlink()
    assert AnswerCache(tmp_path / "answers", identity).missing(SAMPLES) == [1]


@pytest.mark.parametrize("positions", ["scored", "all"])
def test_batches_with_all_answers_teach_what_a_live_teacher_does(
    tmp_path, tokenizer_and_tokens, identity, teacher, size, positions: str
) -> None:
    wider = replace(identity, top_k=size, temperature=2.0, positions=positions)
    cache = AnswerCache(tmp_path / "answers", wider)
    mine = TokenLoader(tokenizer_and_tokens[1], DATA, batch_size=6, rank=1, world_size=2)
    write_answers(cache, teacher, mine, SAMPLES)
    taught = taught_loader(mine, cache)
    losses = LossSpec(temperature=2.0, positions=positions)
    student = tiny_gpt2(size + 3)
    cached = DistillationObjective(student, None, losses, size=size)
    live = DistillationObjective(student, teacher, losses, size=size)
    batch = taught.batch(2)
    assert torch.equal(batch.input_ids, mine.batch(2).input_ids)
    with torch.no_grad():
        found = cached(batch.padded(5).to("cpu").rows(0, 4))
        expected = live(mine.batch(2))
    assert found.item() == pytest.approx(expected.item(), rel=1e-3)
    assert taught.state_dict() == mine.state_dict()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"teacher": "another"}, "teacher: another"),
        ({"temperature": 2.0}, "temperature: 2.0"),
        ({"top_k": 3}, "top_k: 3"),
        ({"data": {"seed": 7}}, "seed"),
    ],
)
def test_answers_of_something_else_are_refused(tmp_path, identity, change, message: str) -> None:
    AnswerCache(tmp_path / "answers", identity)
    with pytest.raises(ArtifactMismatchError, match=message):
        AnswerCache(tmp_path / "answers", replace(identity, **change))


def test_more_entries_than_the_vocabulary_has_are_refused(tmp_path, identity, size) -> None:
    with pytest.raises(InputError, match="fewer entries than are to be kept"):
        AnswerCache(tmp_path / "answers", replace(identity, top_k=size + 1))


def test_damaged_answers_are_named(tmp_path, loader, identity, teacher) -> None:
    folder = tmp_path / "answers"
    write_answers(AnswerCache(folder, identity), teacher, loader, SAMPLES)
    file = folder / "part-00001.npy"
    file.write_bytes(file.read_bytes()[:300])
    with pytest.raises(CorruptArtifactError, match=r"part-00001\.npy"):
        AnswerCache(folder, identity).read(np.array([8]))
    np.save(folder / "part-00002.counts.npy", np.full(PART, 2))
    with pytest.raises(CorruptArtifactError, match="records of"):
        AnswerCache(folder, identity).read(np.array([16]))
    (folder / "cache.json").write_text("{")
    with pytest.raises(CorruptArtifactError, match=r"cache\.json"):
        AnswerCache(folder, identity)


def test_answers_of_other_places_are_noticed(tmp_path, loader, identity, teacher) -> None:
    cache = AnswerCache(tmp_path / "answers", identity)
    write_answers(cache, teacher, loader, SAMPLES)
    masked = loader.make_rows(np.arange(8))
    masked.labels[0, 0] = -100
    taught = taught_loader(loader, cache)
    taught._inner = type("Fixed", (), {"make_rows": lambda self, samples: masked})()
    with pytest.raises(CorruptArtifactError, match="256 places, batch 255"):
        taught.make_rows(np.arange(8))


def test_a_teacher_that_says_nan_writes_nothing(tmp_path, loader, identity, size) -> None:
    broken = tiny_gpt2(size)
    with torch.no_grad():
        broken.transformer.ln_f.weight[0] = float("nan")
    cache = AnswerCache(tmp_path / "answers", identity)
    with pytest.raises(InputError, match="teacher's logits are not numbers"):
        write_answers(cache, Teacher(broken), loader, SAMPLES)
    assert cache.missing(SAMPLES) == [0, 1, 2]


def test_the_size_is_said_before_and_must_fit(
    tmp_path, loader, identity, teacher, monkeypatch, caplog
) -> None:
    cache = AnswerCache(tmp_path / "answers", identity)
    usage = cache_module.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(cache_module.shutil, "disk_usage", lambda path: usage._replace(free=10_000))
    with (
        caplog.at_level("INFO", logger=cache_module.logger.name),
        pytest.raises(DiskFullError, match="will not fit"),
    ):
        write_answers(cache, teacher, loader, SAMPLES)
    assert cache.place_bytes() == TOP * 4 + 2
