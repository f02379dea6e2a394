"""Students that begin as parts of their teachers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.support.tiny_models import tiny_gpt2
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    ModernBertConfig,
    ModernBertForMaskedLM,
    PreTrainedModel,
)

from hunmin.adapt.distill.initialise import initialise_from_teacher
from hunmin.core.errors import ArtifactMismatchError, InputError


def encoder(layers: int, width: int, *, size: int = 64, seed: int = 0) -> PreTrainedModel:
    torch.manual_seed(seed)
    config = ModernBertConfig(
        vocab_size=size,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=2 * width,
        pad_token_id=0,
    )
    return ModernBertForMaskedLM(config).eval()


def weights(model: PreTrainedModel) -> dict[str, Any]:
    return dict(model.named_parameters())


def test_a_shallower_student_has_layers_of_its_teacher() -> None:
    teacher, student = encoder(6, 32), encoder(3, 32, seed=1)
    facts = initialise_from_teacher(student, teacher)
    assert facts.layers == {"model.layers": [1, 3, 5]}
    assert facts.copied == facts.total
    mine, theirs = weights(student), weights(teacher)
    assert torch.equal(mine["model.layers.2.mlp.Wi.weight"], theirs["model.layers.5.mlp.Wi.weight"])
    assert torch.equal(mine["head.dense.weight"], theirs["head.dense.weight"])


def test_a_student_as_deep_as_its_teacher_says_the_same() -> None:
    teacher, student = encoder(2, 32), encoder(2, 32, seed=1)
    initialise_from_teacher(student, teacher)
    ids = torch.arange(1, 9).view(1, 8)
    torch.testing.assert_close(student(input_ids=ids).logits, teacher(input_ids=ids).logits)


def test_a_narrower_student_takes_the_same_columns_everywhere() -> None:
    teacher, student = encoder(2, 64), encoder(2, 32, seed=1)
    initialise_from_teacher(student, teacher)
    mine, theirs = weights(student), weights(teacher)
    table = "model.embeddings.tok_embeddings.weight"
    assert torch.equal(mine[table], theirs[table][:, ::2])
    fused, wide = (w["model.layers.0.attn.Wqkv.weight"] for w in (mine, theirs))
    for part in range(3):
        expected = wide[64 * part : 64 * (part + 1) : 2, ::2]
        assert torch.equal(fused[32 * part : 32 * (part + 1)], expected)


def test_encoder_and_decoder_are_stacks_of_their_own() -> None:
    def model(encoder_layers: int, decoder_layers: int, width: int = 16) -> PreTrainedModel:
        return BartForConditionalGeneration(
            BartConfig(
                vocab_size=64,
                d_model=width,
                encoder_layers=encoder_layers,
                decoder_layers=decoder_layers,
                encoder_attention_heads=2,
                decoder_attention_heads=2,
                encoder_ffn_dim=32,
                decoder_ffn_dim=32,
            )
        )

    facts = initialise_from_teacher(model(2, 1), model(4, 3), layers="first")
    assert facts.layers == {"model.encoder.layers": [0, 1], "model.decoder.layers": [0]}
    narrow, wide = model(1, 1, 8), model(1, 1)
    initialise_from_teacher(narrow, wide, "embeddings")
    size = narrow.get_input_embeddings().weight.square().mean().sqrt().item()
    assert size == pytest.approx(narrow.config.init_std, rel=1e-4)


def test_rows_that_the_teacher_lacks_stay_fresh() -> None:
    teacher, student = encoder(1, 32, size=60), encoder(1, 32, size=64, seed=1)
    table = student.get_input_embeddings().weight
    fresh = table[60:].clone()
    initialise_from_teacher(student, teacher)
    assert torch.equal(table[60:], fresh)
    assert torch.equal(table[:60], teacher.get_input_embeddings().weight)


def test_embeddings_alone_keep_their_likeness() -> None:
    teacher, student = encoder(3, 64), encoder(1, 32, seed=1)
    low_rank = torch.randn(64, 20) @ torch.randn(20, 64)
    with torch.no_grad():
        teacher.get_input_embeddings().weight.copy_(low_rank)
    before = student.model.layers[0].mlp.Wi.weight.clone()
    facts = initialise_from_teacher(student, teacher, "embeddings")
    assert 0 < facts.copied < facts.total
    mine = student.get_input_embeddings().weight
    assert mine.square().mean().sqrt().item() == pytest.approx(0.02, rel=1e-4)
    likeness = [torch.corrcoef(rows @ rows.t()) for rows in (mine.detach(), low_rank)]
    torch.testing.assert_close(*likeness, rtol=1e-3, atol=1e-3)
    assert torch.equal(student.model.layers[0].mlp.Wi.weight, before)


def test_scratch_takes_nothing() -> None:
    student = encoder(1, 32, seed=1)
    before = {name: w.clone() for name, w in weights(student).items()}
    assert initialise_from_teacher(student, encoder(2, 32), "scratch").copied == 0
    assert all(torch.equal(w, before[name]) for name, w in weights(student).items())


@pytest.mark.parametrize(
    ("student", "message"),
    [
        (lambda: encoder(3, 32), "more layers than its teacher"),
        (lambda: encoder(1, 64), "cannot be taken from its teacher"),
        (lambda: tiny_gpt2(64), "same architecture only"),
    ],
)
def test_what_does_not_fit_is_refused(student, message: str) -> None:
    with pytest.raises((ArtifactMismatchError, InputError), match=message):
        initialise_from_teacher(student(), encoder(2, 32))
