"""Exported models parse texts as the trained one does, without torch."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.support.tiny_nlu import tiny_texts
from tests.unit.serving.conftest import Exported

from hunmin.adapt.nlu.decode import Parse
from hunmin.adapt.nlu.model import load_nlu_model
from hunmin.core.errors import (
    ArtifactKindError,
    CorruptArtifactError,
    InputError,
    MissingInputError,
)
from hunmin.serving.errors import BrokenModelError
from hunmin.serving.nlu.engine import NluEngine
from hunmin.serving.nlu.folder import find_nlu_folder, need_nlu_folder, nlu_name, open_parser
from hunmin.serving.nlu.network import Floats, Integers, OnnxNetwork

WITHOUT_TORCH = """
import json, sys
from pathlib import Path
import hunmin.cli.ask, hunmin.serving.nlu.api
from hunmin.serving.nlu.folder import open_parser
from hunmin.serving.nlu.records import parse_record
[parse] = open_parser(Path(sys.argv[1])).parse(["거실 불 켜줘"], "ko-KR")
heavy = [name for name in ("torch", "transformers", "daft", "onnx") if name in sys.modules]
print(json.dumps([heavy, parse_record(0, "거실 불 켜줘", parse)]))
"""


def meaning(parse: Parse) -> tuple[object, ...]:
    spans = [(slot.type, slot.first_character, slot.end_character) for slot in parse.slots]
    return (parse.intent, tuple(name for name, _ in parse.n_best), *spans)


def test_float32_parses_as_torch_does(exported: Exported) -> None:
    texts = tiny_texts()
    theirs = load_nlu_model(exported.model).parse(texts, "en-US")
    mine = NluEngine.load(exported.folder, precision="float32").parse(texts, "en-US")
    assert [meaning(parse) for parse in mine] == [meaning(parse) for parse in theirs]
    assert [parse.score for parse in mine] == pytest.approx([p.score for p in theirs], abs=1e-4)


def test_texts_keep_their_order_whatever_their_length(parser: NluEngine) -> None:
    texts = tiny_texts()
    alone = [parser.parse([text], batch_size=1)[0] for text in texts]
    assert parser.parse(texts, batch_size=1) == alone
    assert len({meaning(parse) for parse in alone}) > len(texts) // 2
    batched = parser.parse(texts, batch_size=8)
    # In int8 one scale serves a batch: probabilities move a little.
    assert [p.score for p in batched] == pytest.approx([p.score for p in alone], abs=0.2)
    assert parser.parse([]) == []


def test_slots_are_characters_of_the_text(parser: NluEngine) -> None:
    text = "  켜줘 🎵 the light"
    [parse] = parser.parse([text])
    assert parse.slots
    for slot in parse.slots:
        assert slot.value == text[slot.first_character : slot.end_character]
    assert len(parser.parse([text], num_best=2)[0].n_best) == 2


def test_a_long_text_is_read_as_far_as_the_model_can(parser: NluEngine) -> None:
    text = "light " * 200
    [parse] = parser.parse([text])
    assert parse.truncated_at is not None
    assert 0 < parse.truncated_at < 200
    assert all(slot.end_character <= parse.truncated_at for slot in parse.slots)


@pytest.mark.parametrize(
    ("text", "locale", "problem"),
    [("", "", "an empty utterance"), (" \t", "", "an empty utterance"),
     ("\ud800", "", "lone surrogate"), ("a", "Korean!", "not a language tag")],
)  # fmt: skip
def test_what_cannot_be_parsed_is_refused(
    parser: NluEngine, text: str, locale: str, problem: str
) -> None:
    with pytest.raises(InputError, match=problem):
        parser.parse(["a", text], locale)


def test_neither_torch_nor_transformers_are_imported(exported: Exported, parser: NluEngine) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, exported.folder],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    heavy, record = json.loads(done.stdout)
    [parse] = parser.parse(["거실 불 켜줘"], "ko-KR")
    assert heavy == []
    assert record["intent"] == parse.intent
    assert len(record["slots"]) == len(parse.slots)


def test_a_model_whose_values_are_no_numbers_says_so(exported: Exported) -> None:
    model = load_nlu_model(exported.model)

    def broken(input_ids: Integers, attention_mask: Integers) -> tuple[Floats, Floats]:
        size = len(input_ids)
        return np.full((size, 4), np.nan, np.float32), np.zeros((*input_ids.shape, 5), np.float32)

    with pytest.raises(BrokenModelError, match="not numbers"):
        NluEngine(broken, model.config, model.encoder).parse(["a"])


def test_folders_that_hold_no_network_are_named(exported: Exported, tmp_path: Path) -> None:
    with pytest.raises(ArtifactKindError, match="a nlu-onnx artifact is needed"):
        NluEngine.load(exported.model)
    copy = tmp_path / "copy"
    shutil.copytree(exported.folder, copy)
    network = copy / "model.int8.onnx"
    network.write_bytes(network.read_bytes()[:-1] + b"\x00")
    with pytest.raises(CorruptArtifactError, match="differs from what was written"):
        NluEngine.load(copy)
    (tmp_path / "no.onnx").write_bytes(b"no network")
    with pytest.raises(CorruptArtifactError, match="the exported network cannot be read"):
        OnnxNetwork(tmp_path / "no.onnx")


def test_models_are_found_by_their_folder_and_by_their_run(exported: Exported) -> None:
    run = exported.folder.parent
    assert find_nlu_folder(run) == exported.folder
    assert find_nlu_folder(exported.model) == exported.model
    assert find_nlu_folder(exported.data) is None
    assert nlu_name(run) == nlu_name(exported.folder) == run.name
    assert isinstance(open_parser(run), NluEngine)
    [parse] = open_parser(exported.model).parse(["light"], num_best=1)
    assert len(parse.n_best) == 1
    with pytest.raises(ArtifactKindError, match="there is no NLU model here"):
        need_nlu_folder(exported.data)
    with pytest.raises(MissingInputError, match="Did you mean 'export'"):
        need_nlu_folder(run / "exprt")
    with pytest.raises(MissingInputError) as caught:
        need_nlu_folder(exported.folder / "model.onn")
    assert "Did you mean" not in str(caught.value), "a file is no folder"


def test_a_network_that_was_left_out_is_named(exported: Exported, tmp_path: Path) -> None:
    from hunmin.core.artifact import write_artifact

    with write_artifact(tmp_path / "small", "nlu-onnx") as draft:
        for name in ("nlu.json", "tokenizer.json", "model.int8.onnx"):
            shutil.copyfile(exported.folder / name, draft.path / name)
    assert NluEngine.load(tmp_path / "small").parse(["light"])
    with pytest.raises(MissingInputError, match="no float32 network") as caught:
        NluEngine.load(tmp_path / "small", precision="float32")
    assert "allowed: int8" in str(caught.value)
