from __future__ import annotations

import json
import resource
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.support.distributed import run_ranks
from tests.support.tiny_models import tokenizer_definition
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.placement_types import Placement, _StridedShard
from transformers import (
    AutoModelForCausalLM,
    BartConfig,
    BertConfig,
    GPT2Config,
    LlamaConfig,
    MBartConfig,
    ModernBertConfig,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen3Config,
    RobertaConfig,
    T5Config,
    Wav2Vec2Config,
)

from hunmin.core.errors import (
    ArtifactMismatchError,
    CorruptArtifactError,
    InputError,
    MissingInputError,
    StageFailedError,
)
from hunmin.models import initialize
from hunmin.models.blocks import transformer_blocks
from hunmin.models.build import build_model
from hunmin.models.export import save_model
from hunmin.models.initialize import initialize_parameters
from hunmin.models.meta import build_meta_model
from hunmin.models.pieces import held_part, held_pieces, write_rows
from hunmin.parallel.tensor import apply_tensor_parallel
from hunmin.parallel.weights.folder import load_folder, save_folder, whole_tensor
from hunmin.parallel.weights.materialize import materialize

MESH = ("replicate", "shard", "tensor")
NO_TOKENS = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 1}
SIZES = {
    "vocab_size": 61,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 44,
}
SEQ2SEQ = {
    "vocab_size": 61,
    "d_model": 24,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 44,
    "decoder_ffn_dim": 44,
}
GPT2 = GPT2Config(vocab_size=61, n_embd=24, n_layer=2, n_head=4, n_positions=33, **NO_TOKENS)
QWEN3 = Qwen3Config(
    **SIZES, **NO_TOKENS, num_key_value_heads=2, head_dim=6, tie_word_embeddings=True
)
LLAMA = LlamaConfig(**SIZES, **NO_TOKENS, num_key_value_heads=2, attention_bias=True)
CONFIGS: list[PreTrainedConfig] = [
    GPT2,
    QWEN3,
    LLAMA,
    BertConfig(**SIZES),
    RobertaConfig(**SIZES),
    ModernBertConfig(**SIZES, **NO_TOKENS, cls_token_id=2, sep_token_id=3),
    T5Config(vocab_size=61, d_model=24, d_kv=6, d_ff=44, num_layers=2, num_heads=4),
    BartConfig(**SEQ2SEQ),
    MBartConfig(**SEQ2SEQ),
]
FAMILIES = [config.model_type for config in CONFIGS]


def sharded_meta_model(config: PreTrainedConfig, mesh: DeviceMesh) -> PreTrainedModel:
    model = build_meta_model(config)
    apply_tensor_parallel(model, mesh["tensor"])
    for block in transformer_blocks(model):
        fully_shard(block, mesh=mesh["replicate", "shard"])
    fully_shard(model, mesh=mesh["replicate", "shard"])
    return model


def materialized(config: PreTrainedConfig, mesh: DeviceMesh, seed: int) -> PreTrainedModel:
    model = sharded_meta_model(config, mesh)
    materialize(model, "cpu", initialize=lambda: initialize_parameters(model, seed=seed))
    return model


def differing(model: PreTrainedModel, whole: PreTrainedModel) -> list[str]:
    """Names of parameters and buffers that are not the same to the bit, ties included."""
    expected = dict(whole.named_parameters(remove_duplicate=False))
    found = dict(model.named_parameters(remove_duplicate=False))
    assert list(found) == list(expected)
    wrong = [n for n in found if not torch.equal(whole_tensor(found[n]), expected[n])]
    ties = {n: id(p) for n, p in found.items()}
    wrong += [n for n in found if list(ties.values()).count(ties[n]) != _uses(whole, n)]
    buffers = dict(whole.named_buffers())
    return wrong + [n for n, b in model.named_buffers() if not torch.equal(b, buffers[n])]


def _uses(model: PreTrainedModel, name: str) -> int:
    parameters = dict(model.named_parameters(remove_duplicate=False))
    return sum(p is parameters[name] for p in parameters.values())


def wrong_after_materializing(shape: tuple[int, int, int]) -> list[str]:
    mesh = init_device_mesh("cpu", shape, mesh_dim_names=MESH)
    initialize.BLOCK_VALUES = 100  # several blocks for each matrix
    wrong = []
    for config in (GPT2, QWEN3, LLAMA):
        model = materialized(config, mesh, 3)
        wrong += differing(model, build_model(config, seed=3))
    return wrong


@pytest.mark.parametrize("shape", [(1, 2, 1), (1, 2, 2), (2, 1, 2), (1, 4, 1)])
def test_every_layout_gets_the_weights_of_one_process(shape: tuple[int, int, int]) -> None:
    for wrong in run_ranks(shape[0] * shape[1] * shape[2], wrong_after_materializing, shape):
        assert wrong == []


def test_another_seed_is_noticed() -> None:
    assert differing(build_model(GPT2, seed=3), build_model(GPT2, seed=4))


def peak_growth(config: PreTrainedConfig) -> tuple[int, int]:
    """Bytes by which the peak of this rank grows, and bytes of the whole model."""
    mesh = init_device_mesh("cpu", (1, 4, 1), mesh_dim_names=MESH)
    model = sharded_meta_model(config, mesh)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    materialize(model, "cpu", initialize=lambda: initialize_parameters(model, seed=3))
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return after - before, sum(p.numel() * p.element_size() for p in model.parameters())


def test_a_rank_needs_memory_for_its_own_part_only() -> None:
    config = GPT2Config(
        vocab_size=8192, n_embd=512, n_layer=8, n_head=8, n_positions=256, **NO_TOKENS
    )
    for growth, whole in run_ranks(4, peak_growth, config):
        assert 0.15 * whole < growth < 0.4 * whole


@pytest.mark.parametrize("config", CONFIGS, ids=FAMILIES)
def test_meta_models_of_every_family_have_true_buffers(config: PreTrainedConfig) -> None:
    meta = build_meta_model(config)
    real = type(meta)(config).train()
    assert all(parameter.is_meta for parameter in meta.parameters())

    def copy_all() -> None:
        with torch.no_grad():
            for mine, other in zip(meta.parameters(), real.parameters(), strict=True):
                mine.copy_(other)

    materialize(meta, "cpu", initialize=copy_all)
    assert differing(meta, real) == []
    ids = torch.arange(4, 16).view(2, 6)
    inputs = {"input_ids": ids, **({"decoder_input_ids": ids} if is_seq2seq(config) else {})}
    assert torch.equal(meta.eval()(**inputs).logits, real.eval()(**inputs).logits)


def is_seq2seq(config: PreTrainedConfig) -> bool:
    return bool(config.is_encoder_decoder)


def test_the_configuration_names_the_class() -> None:
    config = BertConfig(**SIZES, architectures=["BertForSequenceClassification"])
    assert type(build_meta_model(config)).__name__ == "BertForSequenceClassification"
    assert type(build_meta_model(BertConfig(**SIZES))).__name__ == "BertForMaskedLM"
    decoder = BertConfig(**SIZES, is_decoder=True)
    assert type(build_meta_model(decoder)).__name__ == "BertLMHeadModel"


def test_a_configuration_of_no_language_model_is_refused() -> None:
    with pytest.raises(InputError, match="no language model") as caught:
        build_meta_model(Wav2Vec2Config())
    assert "Wav2Vec2Config" in str(caught.value)


def test_building_leaves_other_models_alone() -> None:
    state = torch.random.get_rng_state()
    build_meta_model(GPT2)
    assert not torch.nn.Linear(2, 2).weight.is_meta
    torch.random.set_rng_state(state)
    build_meta_model(GPT2)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_buffer_without_a_value_is_refused() -> None:
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(LLAMA)
    with pytest.raises(StageFailedError, match=r"rotary_emb\.inv_freq") as caught:
        materialize(model, "cpu", initialize=lambda: None)
    assert "build_meta_model" in str(caught.value)


# -- pieces --------------------------------------------------------------------------------------


def wrong_pieces() -> list[str]:
    """Write the rows of a tensor block by block into shards of every kind."""
    mesh = init_device_mesh("cpu", (2, 2), mesh_dim_names=("shard", "tensor"))
    whole = torch.arange(7 * 6.0).view(7, 6)
    wrong = []
    kinds: list[list[Placement]] = [
        [Shard(0), Shard(1)],
        [Shard(1), Shard(1)],
        [Replicate(), Shard(0)],
        [_StridedShard(0, split_factor=2), Shard(0)],
        [Shard(0), _StridedShard(1, split_factor=3)],
    ]
    for placements in kinds:
        tensor = distribute_tensor(whole * 0, mesh, placements, src_data_rank=None)
        for first in range(0, 7, 3):
            write_rows(tensor, first, whole[first : first + 3])
        read = torch.full_like(held_part(tensor), -1)
        for piece in held_pieces(tensor):
            read[piece.part] = whole[piece.whole]
        assembled = (tensor.full_tensor(), whole_tensor(tensor))
        is_whole = all(torch.equal(found, whole) for found in assembled)
        if not is_whole or not torch.equal(read, held_part(tensor)):
            wrong.append(str(placements))
    return wrong


def test_pieces_cover_each_rank_s_part() -> None:
    assert run_ranks(4, wrong_pieces) == [[]] * 4


def parts_of_an_unknown_torch() -> str:
    mesh = init_device_mesh("cpu", (2,))
    odd = DTensor.from_local(torch.zeros(3), mesh, [Shard(0)], shape=torch.Size([8]), stride=(1,))
    try:
        held_pieces(odd)
    except StageFailedError as error:
        return str(error)
    return ""


def test_parts_of_another_shape_are_refused() -> None:
    for message in run_ranks(2, parts_of_an_unknown_torch):
        assert "a part of (3,)" in message
        assert "a part of (4,)" in message


# -- folders -------------------------------------------------------------------------------------


def round_trip(shape: tuple[int, int, int], folder: Path, max_bytes: int) -> list[str]:
    """Load stock folders into sharded models and save them again."""
    mesh = init_device_mesh("cpu", shape, mesh_dim_names=MESH)
    wrong = []
    for config in (GPT2, QWEN3, LLAMA):
        stock = AutoModelForCausalLM.from_pretrained(folder / config.model_type / "stock")
        model = sharded_meta_model(config, mesh)
        source = folder / config.model_type / "stock"
        materialize(model, "cpu", initialize=partial(load_folder, model, source))
        wrong += differing(model, stock.train())
        save_folder(
            model,
            folder / config.model_type / "saved",
            max_shard_bytes=max_bytes,
            ranks_per_node=shape[2] * shape[1],
        )
    return wrong


@pytest.mark.parametrize(
    ("shape", "max_bytes"), [((1, 1, 2), 10**9), ((1, 2, 2), 20_000), ((2, 2, 1), 9_000)]
)
def test_stock_folders_survive_a_round_trip(
    shape: tuple[int, int, int], max_bytes: int, tmp_path: Path
) -> None:
    ids = torch.arange(4, 16).view(2, 6)
    logits = {}
    for config in (GPT2, QWEN3, LLAMA):
        model = AutoModelForCausalLM.from_config(config).eval()
        logits[config.model_type] = model(input_ids=ids).logits
        model.save_pretrained(tmp_path / config.model_type / "stock", max_shard_size=20_000)
        config.save_pretrained(tmp_path / config.model_type / "saved")
    size = shape[0] * shape[1] * shape[2]
    assert run_ranks(size, round_trip, shape, tmp_path, max_bytes) == [[]] * size
    for family, expected in logits.items():
        saved = tmp_path / family / "saved"
        model, facts = AutoModelForCausalLM.from_pretrained(saved, output_loading_info=True)
        assert not any(facts[key] for key in ("missing_keys", "unexpected_keys"))
        assert torch.equal(model.eval()(input_ids=ids).logits, expected)
        check_files(saved, max_bytes)


def check_files(folder: Path, max_bytes: int) -> None:
    files = sorted(folder.glob("*.safetensors"))
    if max_bytes == 10**9:
        assert [file.name for file in files] == ["model.safetensors"]
        return
    assert len(files) > 1
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    assert {file.name for file in files} == set(index["weight_map"].values())
    for file in files:
        tensors = load_file(file)
        size = sum(tensor.numel() * 4 for tensor in tensors.values())
        assert size <= max_bytes or len(tensors) == 1


@pytest.mark.parametrize("config", CONFIGS, ids=FAMILIES)
def test_plain_models_of_every_family_survive_a_round_trip(
    config: PreTrainedConfig, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    kind = type(build_meta_model(config))
    model = kind(config).eval()
    config.save_pretrained(tmp_path)
    save_folder(model, tmp_path)
    stock, facts = kind.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(facts[key] for key in ("missing_keys", "unexpected_keys"))
    assert differing(stock, model) == []
    again = build_meta_model(config)
    materialize(again, "cpu", initialize=lambda: load_folder(again, tmp_path))
    assert differing(again, model) == []


def test_an_export_with_own_weights_is_that_of_transformers(tmp_path: Path) -> None:
    tokenizer = tmp_path / "tokenizer"
    tokenizer.mkdir()
    (tokenizer / "tokenizer.json").write_text(tokenizer_definition(), encoding="utf-8")
    folders = [tmp_path / "stock", tmp_path / "own"]
    for folder, write_weights in zip(folders, (None, save_folder), strict=True):
        folder.mkdir()
        save_model(build_model(GPT2, seed=3), tokenizer, folder, write_weights=write_weights)
    stock, own = ({file.name for file in folder.iterdir()} for folder in folders)
    assert own == stock
    for name in own - {"model.safetensors"}:
        assert (folders[0] / name).read_text() == (folders[1] / name).read_text(), name
    assert differing(*map(AutoModelForCausalLM.from_pretrained, folders)) == []


def test_a_folder_without_the_prefix_of_the_head_is_read(tmp_path: Path) -> None:
    model = build_model(GPT2, seed=3)
    model.base_model.save_pretrained(tmp_path)
    assert "wte.weight" in load_file(tmp_path / "model.safetensors")
    other = build_model(GPT2, seed=4)
    load_folder(other, tmp_path)
    assert differing(other, model) == []


def test_another_model_s_folder_is_refused(tmp_path: Path) -> None:
    model = build_model(LLAMA, seed=3)
    save_folder(model, tmp_path)
    with pytest.raises(ArtifactMismatchError, match="another model") as caught:
        load_folder(build_model(QWEN3, seed=3), tmp_path)
    assert "missing: model.layers.0.self_attn.q_norm.weight" in str(caught.value)
    assert "unexpected: " in str(caught.value)
    assert "more" in str(caught.value)
    wider = LlamaConfig(**{**LLAMA.to_dict(), "vocab_size": 62})
    with pytest.raises(ArtifactMismatchError, match="another shape") as caught:
        load_folder(build_model(wider, seed=3), tmp_path)
    assert "(61, 24)" in str(caught.value)


def test_damaged_and_missing_files_are_refused(tmp_path: Path) -> None:
    model = build_model(GPT2, seed=3)
    with pytest.raises(MissingInputError, match=r"model\.safetensors"):
        load_folder(model, tmp_path)
    save_file({"a": torch.zeros(3)}, tmp_path / "model.safetensors")
    data = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(data[:-4])
    with pytest.raises(CorruptArtifactError, match="cannot be read"):
        load_folder(model, tmp_path)
    (tmp_path / "model.safetensors.index.json").write_text("{")
    with pytest.raises(CorruptArtifactError, match=r"index\.json"):
        load_folder(model, tmp_path)


def message_of_a_failed_save(folder: Path) -> str:
    mesh = init_device_mesh("cpu", (1, 2, 1), mesh_dim_names=MESH)
    model = materialized(GPT2, mesh, 3)
    try:
        save_folder(model, folder, max_shard_bytes=20_000)
    except StageFailedError as error:
        return str(error)
    return ""


def test_a_file_that_cannot_be_written_is_an_error_on_every_rank(tmp_path: Path) -> None:
    found = run_ranks(2, message_of_a_failed_save, tmp_path / "missing")
    for message in found:
        assert "could not be written" in message
        assert "rank 0" in message
