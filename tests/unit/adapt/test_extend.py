"""Model folders: stock transformers opens what comes out, and the command line makes them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from tests.support.foreign import ENGLISH, KOREAN, foreign_definition, write_donor, write_foreign
from tests.support.tiny_models import tiny_gpt2, tiny_qwen3
from transformers import AutoModelForCausalLM, AutoTokenizer, BertConfig, BertForMaskedLM

from hunmin.adapt.extend import extend_model_folder
from hunmin.cli.main import main
from hunmin.cli.tokenizer import command
from hunmin.core.artifact import load_artifact
from hunmin.core.errors import ArtifactKindError, ArtifactMismatchError, InputError
from hunmin.models.load import load_model, load_unchanged
from hunmin.tokenizer.extend import extend_tokenizer_folder
from hunmin.tokenizer.extension.base import BaseTokenizer, load_base

ROWS = 384


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("texts") / "ko.txt"
    lines = [f"{text} {number}" for number in range(12) for text in KOREAN]
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def donor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_donor(tmp_path_factory.mktemp("donor") / "donor")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A model whose rows are padded beyond the ids of its tokenizer."""
    folder = write_foreign(tmp_path / "qwen", foreign_definition())
    tiny_qwen3(ROWS).to(torch.bfloat16).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("initialization", ["mean", "focus", "random"])
def test_a_model_folder(
    source: Path, donor: Path, texts: Path, tmp_path: Path, initialization: str
) -> None:
    artifact = extend_model_folder(
        source, donor, [texts], tmp_path / "new", initialization=initialization
    )
    facts = load_artifact(tmp_path / "new", "model").facts
    assert facts == artifact.facts
    old, new = load_base(source), load_base(tmp_path / "new")
    assert facts["embeddings"]["rows_after"] % 128 == 0
    assert facts["extension"]["new_pieces"] == new.num_ids - old.num_ids
    assert not list((tmp_path / "new").glob("*.bin"))
    before = AutoModelForCausalLM.from_pretrained(source)
    after = AutoModelForCausalLM.from_pretrained(tmp_path / "new")
    assert after.dtype == torch.bfloat16
    for name in ("get_input_embeddings", "get_output_embeddings"):
        rows, old_rows = getattr(after, name)().weight, getattr(before, name)().weight
        assert torch.equal(rows[: old.num_ids], old_rows[: old.num_ids])
        assert rows.shape[0] >= new.num_ids
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "new")
    ids = tokenizer(KOREAN[0], return_tensors="pt").input_ids
    assert ids.max() >= old.num_ids
    assert torch.isfinite(after(input_ids=ids).logits).all()
    load_model(tmp_path / "new")


def test_text_of_other_languages_gets_the_same_logits(
    source: Path, donor: Path, texts: Path, tmp_path: Path
) -> None:
    extend_model_folder(source, donor, [texts], tmp_path / "new")
    num_ids = load_base(source).num_ids
    (ids,) = load_base(source).encode(ENGLISH[:1])
    assert load_base(tmp_path / "new").encode(ENGLISH[:1]) == [ids]
    old, new = load_model(source), load_model(tmp_path / "new")
    batch = torch.tensor([ids])
    torch.testing.assert_close(
        new(input_ids=batch).logits[..., :num_ids], old(input_ids=batch).logits[..., :num_ids]
    )


def test_an_encoder(donor: Path, texts: Path, tmp_path: Path) -> None:
    folder = write_foreign(tmp_path / "bert", foreign_definition())
    config = BertConfig(vocab_size=323, hidden_size=16, num_hidden_layers=1, num_attention_heads=2)
    BertForMaskedLM(config).save_pretrained(folder)
    extend_model_folder(folder, donor, [texts], tmp_path / "new")
    model = load_unchanged(tmp_path / "new")
    assert isinstance(model, BertForMaskedLM)
    assert model.config.vocab_size == load_base(tmp_path / "new").num_ids


def test_a_model_of_another_tokenizer_is_refused(donor: Path, texts: Path, tmp_path: Path) -> None:
    folder = write_foreign(tmp_path / "gpt2", foreign_definition())
    tiny_gpt2(100).save_pretrained(folder)
    with pytest.raises(ArtifactMismatchError, match="fewer rows"):
        extend_model_folder(folder, donor, [texts], tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["Gpt99", "pipeline", "AutoTokenizer"])
def test_a_class_that_is_no_model_is_named(source: Path, name: str) -> None:
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps(config | {"architectures": [name]}))
    with pytest.raises(InputError, match="no model class of this name"):
        load_unchanged(source)


def arguments(folder: Path, donor: Path, texts: Path, output: Path) -> list[str]:
    words = ["extend", folder, "--with", donor, "--texts", texts, "--output", output]
    return [str(word) for word in words]


def test_the_command_extends_a_model(
    source: Path, donor: Path, texts: Path, tmp_path: Path
) -> None:
    words = arguments(source, donor, texts, tmp_path / "new")
    outcome = CliRunner().invoke(command, [*words, "--max-new", "40", "--json"])
    assert outcome.exit_code == 0, outcome.output
    facts = json.loads(outcome.stdout)
    assert facts["kind"] == "model"
    assert facts["initialization"] == "focus"
    assert facts["extension"]["new_pieces"] == 40
    assert facts["extension"]["scripts"] == ["Hang"]


def test_the_command_extends_a_tokenizer(donor: Path, texts: Path, tmp_path: Path) -> None:
    folder = write_foreign(tmp_path / "plain", foreign_definition())
    words = arguments(folder, donor, texts, tmp_path / "new")
    (tmp_path / "en.txt").write_text("\n".join(ENGLISH * 9), encoding="utf-8")
    options = ["--scripts", "any", "--keep", str(tmp_path / "en.txt")]
    outcome = CliRunner().invoke(command, [*words, *options])
    assert outcome.exit_code == 0, outcome.output
    assert outcome.stdout.strip() == str(tmp_path / "new")
    assert load_artifact(tmp_path / "new").manifest.kind == "tokenizer"
    BaseTokenizer((tmp_path / "new" / "tokenizer.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("replaced", "problem"),
    [
        (0, "no such folder"),
        (1, "no such tokenizer folder"),
        (2, "no such file or folder"),
    ],
)
def test_the_command_names_what_is_missing(
    source: Path,
    donor: Path,
    texts: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    replaced: int,
    problem: str,
) -> None:
    paths = [source, donor, texts]
    paths[replaced] = tmp_path / "nothing"
    words = ["tokenizer", *arguments(*paths, tmp_path / "new")]
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    assert problem in capsys.readouterr().err


def test_a_place_that_is_taken_is_told_before_the_work(
    source: Path, donor: Path, tmp_path: Path
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.txt").write_text("mine", encoding="utf-8")
    nothing = tmp_path / "no such texts"
    for extend in (extend_model_folder, extend_tokenizer_folder):
        with pytest.raises(ArtifactKindError, match="something that hunmin did not write"):
            extend(source, donor, [nothing], tmp_path / "taken")
