"""Tags to slots: every runtime shares this code, so it is compared with brute force."""

import functools
import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from hunmin.adapt.nlu.config import HEADS_FILE, NluConfig
from hunmin.adapt.nlu.crf import LinearChain
from hunmin.adapt.nlu.decode import (
    CRF_TENSORS,
    Transitions,
    decode,
    prediction_of,
    read_transitions,
    viterbi,
)
from hunmin.adapt.nlu.encode import EncodedUtterance
from hunmin.core.errors import CorruptArtifactError, MissingExtraError

CONFIG = NluConfig(intents=("on", "off", "heat"), slot_types=("room", "time"), prefix_ids=(0,))
O, B_ROOM, I_ROOM, B_TIME = 0, 1, 2, 3  # noqa: E741


def utterance(text: str, *pieces: str) -> EncodedUtterance:
    starts = [text.index(piece) for piece in pieces]
    ends = [start + len(piece) for start, piece in zip(starts, pieces, strict=True)]
    places = np.arange(1, len(pieces) + 1)
    ids = np.arange(len(pieces) + 1)
    return EncodedUtterance(text, "ko", ids, places, np.array(starts), np.array(ends))


def logits_of(tags: list[list[int]], size: float = 9.0) -> np.ndarray:
    made = np.zeros((len(tags), 1 + max(map(len, tags)), 5), dtype=np.float32)
    for row, chosen in enumerate(tags):
        made[row, np.arange(len(chosen)) + 1, chosen] = size
    return made


def test_intents_and_slots_with_characters_and_scores() -> None:
    texts = [utterance("거실의 불 켜줘", "거실", "의", "불", "켜줘"), utterance("안녕", "안녕")]
    intents = np.log(np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]], dtype=np.float32))
    parses = decode(CONFIG, texts, intents, logits_of([[B_ROOM, O, B_ROOM, I_ROOM], [O]]))
    first = parses[0]
    assert (first.intent, round(first.score, 3)) == ("on", 0.7)
    assert [name for name, _ in first.n_best] == ["on", "off", "heat"]
    found = [
        (slot.type, slot.value, slot.first_character, slot.end_character) for slot in first.slots
    ]
    assert found == [("room", "거실", 0, 2), ("room", "불 켜줘", 4, 8)]
    assert first.slots[0].score == pytest.approx(np.exp(9) / (np.exp(9) + 4))
    assert parses[1].intent == "heat"
    assert parses[1].slots == ()


def test_a_prediction_counts_words() -> None:
    texts = [utterance("거실의 불 켜줘", "거실", "의", "불", "켜줘")]
    (parse,) = decode(CONFIG, texts, np.zeros((1, 3)), logits_of([[B_ROOM, O, B_TIME, O]]))
    said = prediction_of(parse, "7", texts[0].text, "ko")
    assert said.slots == (("room", 0, 1), ("time", 1, 2))
    assert (said.id, said.locale, said.intent) == ("7", "ko", "on")


def test_viterbi_finds_what_trying_everything_finds() -> None:
    """Texts of different length at once: padding must not have a say."""
    generator = np.random.default_rng(0)
    crf = _chain(generator)
    rows = [generator.normal(size=(length, 3)) for length in (5, 0, 1, 2, 6, 3)]
    for logits, tags in zip(rows, viterbi(rows, crf), strict=True):
        ways = itertools.product(range(3), repeat=len(logits))
        assert tags.tolist() == list(max(ways, key=functools.partial(_score, logits, crf)))


def test_the_chain_loss_is_that_of_trying_everything() -> None:
    generator = np.random.default_rng(1)
    crf = _chain(generator)
    logits = generator.normal(size=(3, 4, 3))
    tags = generator.integers(0, 3, size=(3, 4))
    lengths = [4, 2, 0]
    chain = LinearChain(3)
    for name in ("transitions", "start", "end"):
        getattr(chain, name).data = torch.from_numpy(getattr(crf, name))
    mask = torch.arange(4) < torch.tensor(lengths)[:, None]
    loss = chain(torch.from_numpy(logits), torch.from_numpy(tags), mask)
    for row, length in enumerate(lengths[:2]):
        some = logits[row, :length]
        scores = [_score(some, crf, t) for t in itertools.product(range(3), repeat=length)]
        expected = np.log(np.exp(scores).sum()) - _score(some, crf, tuple(tags[row, :length]))
        assert loss[row].item() == pytest.approx(expected, rel=1e-5)
    assert loss[2] == 0
    assert np.array_equal(chain.as_transitions().transitions, crf.transitions)


def test_transitions_change_the_slots() -> None:
    """An I- after O is cheap for each tag alone, and forbidden by the chain."""
    texts = [utterance("a b", "a", "b")]
    logits = logits_of([[O, I_ROOM]], size=1.0)
    alone = decode(CONFIG, texts, np.zeros((1, 3)), logits)[0]
    assert [slot.value for slot in alone.slots] == ["b"]
    never = np.zeros((5, 5), dtype=np.float32)
    never[:, I_ROOM] = -10
    chain = Transitions(never, np.zeros(5, np.float32), np.zeros(5, np.float32))
    assert decode(CONFIG, texts, np.zeros((1, 3)), logits, chain)[0].slots == ()


def test_transitions_are_read_without_torch_and_missed_if_absent(tmp_path: Path) -> None:
    with_crf = CONFIG.model_copy(update={"crf": True})
    assert read_transitions(tmp_path, CONFIG) is None
    with pytest.raises(CorruptArtifactError, match="transitions"):
        read_transitions(tmp_path, with_crf)
    save_file({"intent.0.bias": np.zeros(3, np.float32)}, tmp_path / HEADS_FILE)
    with pytest.raises(CorruptArtifactError, match="transitions"):
        read_transitions(tmp_path, with_crf)
    tensors = [np.full((2, 2), 3, np.float32), np.ones(2, np.float32), np.zeros(2, np.float32)]
    save_file(dict(zip(CRF_TENSORS, tensors, strict=True)), tmp_path / HEADS_FILE)
    found = read_transitions(tmp_path, with_crf)
    assert found is not None
    assert found.transitions.sum() == 12
    assert found.start.sum() == 2


def test_the_extra_without_torch_is_named_where_transitions_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(MissingExtraError, match=r"\[nlu\]"):
        read_transitions(tmp_path, CONFIG.model_copy(update={"crf": True}))


def _chain(generator: np.random.Generator) -> Transitions:
    shapes = ((3, 3), (3,), (3,))
    return Transitions(*(generator.normal(size=shape).astype(np.float32) for shape in shapes))


def _score(logits: np.ndarray, crf: Transitions, tags: tuple[int, ...]) -> float:
    if not tags:
        return 0.0
    total = sum(logits[place, tag] for place, tag in enumerate(tags))
    total += sum(crf.transitions[a, b] for a, b in itertools.pairwise(tags))
    return float(total + crf.start[tags[0]] + crf.end[tags[-1]])
