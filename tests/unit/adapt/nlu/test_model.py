"""Any body with heads: what is saved answers as before, and padding changes nothing."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.unit.adapt.nlu.conftest import byte_tokenizer
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    MBartConfig,
    MBartForConditionalGeneration,
    ModernBertConfig,
    ModernBertForMaskedLM,
    MT5Config,
    MT5ForConditionalGeneration,
    PreTrainedModel,
    Qwen3Config,
    Qwen3Model,
)

from hunmin.adapt.nlu.body import load_body, with_dropout
from hunmin.adapt.nlu.config import HEADS_FILE, NluConfig, Pooling, read_config
from hunmin.adapt.nlu.model import (
    JointModel,
    check_feature_layer,
    load_nlu_model,
    pool,
    save_nlu_model,
)
from hunmin.core.artifact import MANIFEST_NAME
from hunmin.core.errors import ArtifactKindError, ArtifactMismatchError, CorruptArtifactError

CONFIG = NluConfig(
    intents=("on", "off"),
    slot_types=("room",),
    pooling="mean",
    feature_layer=1,
    head_layers=1,
    head_width=16,
    crf=True,
    prefix_ids=(0,),
    pad_id=1,
    max_tokens=32,
)
TEXTS = ["거실의 불 켜줘", "hello", "make the attic warm by nine pm"]


def other_bodies() -> list[PreTrainedModel]:
    sizes = {"vocab_size": 448, "num_hidden_layers": 2, "num_attention_heads": 2}
    ends = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 0}
    seq = {"encoder_layers": 2, "decoder_layers": 1, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    modern = {"cls_token_id": 0, "sep_token_id": 0, "hidden_size": 32, "intermediate_size": 32}
    t5 = {"d_model": 32, "d_ff": 32, "d_kv": 16, "num_layers": 2, "num_heads": 2}
    return [
        ModernBertForMaskedLM(ModernBertConfig(**sizes, **ends, **modern)),
        MBartForConditionalGeneration(MBartConfig(vocab_size=448, d_model=32, **seq, **heads)),
        MT5ForConditionalGeneration(MT5Config(vocab_size=448, **t5)),
        GPT2LMHeadModel(GPT2Config(vocab_size=448, n_embd=32, n_layer=2, n_head=2)),
    ]


@pytest.mark.parametrize("number", range(4))
def test_every_kind_of_body_is_saved_and_answers_as_before(number: int, tmp_path: Path) -> None:
    body = other_bodies()[number]
    body.save_pretrained(tmp_path / "body")
    byte_tokenizer().save(str(tmp_path / "body/tokenizer.json"))
    network = JointModel(with_dropout(load_body(tmp_path / "body"), 0.2, None), CONFIG).eval()
    save_nlu_model(network, CONFIG, tmp_path / "body", tmp_path / "nlu")
    model = load_nlu_model(tmp_path / "nlu")
    assert read_config(tmp_path / "nlu").body_class == type(network.body).__name__
    ids, mask = torch.tensor([[0, 5, 6, 7]]), torch.ones(1, 4, dtype=torch.int64)
    for before, after in zip(network(ids, mask), model.network(ids, mask), strict=True):
        assert torch.equal(before, after)
    assert len(model.parse(TEXTS)) == 3


def test_a_trained_model_is_a_body_again(body_folder: Path, tmp_path: Path) -> None:
    network = JointModel(load_body(body_folder), CONFIG)
    save_nlu_model(network, CONFIG, body_folder, tmp_path / "nlu")
    again = load_body(tmp_path / "nlu").state_dict()
    assert all(torch.equal(again[k], v) for k, v in network.body.state_dict().items())


def test_a_batch_says_what_each_text_alone_says(body_folder: Path, tmp_path: Path) -> None:
    for pooling in ("first", "mean", "max", "last"):
        config = CONFIG.model_copy(update={"pooling": pooling})
        torch.manual_seed(0)
        network = JointModel(load_body(body_folder), config).eval()
        save_nlu_model(network, config, body_folder, tmp_path / pooling)
        model = load_nlu_model(tmp_path / pooling)
        together = model.parse(TEXTS, batch_size=2)
        alone = [model.parse([text])[0] for text in TEXTS]
        for one, other in zip(together, alone, strict=True):
            assert one.intent == other.intent
            assert one.score == pytest.approx(other.score, abs=1e-5)
            assert [s.value for s in one.slots] == [s.value for s in other.slots]


@pytest.mark.parametrize(
    ("pooling", "expected"), [("first", 1.0), ("mean", 2.0), ("max", 3.0), ("last", 3.0)]
)
def test_pooling_never_sees_padding(pooling: Pooling, expected: float) -> None:
    states = torch.tensor([[[1.0], [3.0], [99.0]]])
    kept = states.clone()
    assert pool(states, torch.tensor([[1, 1, 0]]), pooling).item() == expected
    assert torch.equal(states, kept), "the shared states were written over"


def test_dropout_is_that_of_the_preset(body_folder: Path) -> None:
    body = with_dropout(load_body(body_folder), 0.45, 0.35)
    assert body.config.hidden_dropout_prob == 0.45
    assert body.encoder.layer[0].attention.self.dropout.p == 0.35
    assert body.embeddings.dropout.p == 0.45
    without = Qwen3Model(Qwen3Config(vocab_size=8, hidden_size=8, num_hidden_layers=1))
    with pytest.raises(ArtifactMismatchError, match="add hidden_dropout=null to the command"):
        with_dropout(without, 0.1, None)


def test_a_layer_that_is_not_there_is_refused(body_folder: Path) -> None:
    check_feature_layer(load_body(body_folder), 2)
    with pytest.raises(ArtifactMismatchError, match="feature_layer 3"):
        check_feature_layer(load_body(body_folder), 3)


def test_damaged_models_are_refused(body_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactKindError):
        load_nlu_model(body_folder)
    folder = tmp_path / "nlu"
    save_nlu_model(JointModel(load_body(body_folder), CONFIG), CONFIG, body_folder, folder)
    heads = load_file(folder / HEADS_FILE)
    heads["other"] = heads.pop("crf.start")
    save_file(heads, folder / HEADS_FILE)
    with pytest.raises(CorruptArtifactError):
        load_nlu_model(folder)
    manifest = (folder / MANIFEST_NAME).read_text()
    size = (folder / HEADS_FILE).stat().st_size
    old = next(
        line for line in manifest.split("heads.safetensors")[1].splitlines() if "bytes" in line
    )
    (folder / MANIFEST_NAME).write_text(manifest.replace(old, f'"bytes": {size},'))
    with pytest.raises(CorruptArtifactError, match="not those that nlu"):
        load_nlu_model(folder, verify=False)
