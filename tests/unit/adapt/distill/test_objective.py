"""The objective as a whole: what is summed, over which places, and what is part of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from tests.support.tiny_models import tiny_gpt2, tiny_qwen3
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    DebertaV2Config,
    DebertaV2ForMaskedLM,
    ModernBertConfig,
    ModernBertForMaskedLM,
    PreTrainedModel,
    RobertaPreLayerNormConfig,
    RobertaPreLayerNormForMaskedLM,
)

from hunmin.adapt.distill.objective import DistillationObjective
from hunmin.adapt.distill.on_policy import own_continuations, wants_own_words
from hunmin.adapt.distill.spec import LossSpec
from hunmin.adapt.distill.teacher import Teacher
from hunmin.core.errors import InputError
from hunmin.data.batch import IGNORED_LABEL, PairBatch, TokenBatch, segment_positions
from hunmin.models.forward import hidden_states

SIZE, LENGTH = 60, 12
SIZES = {"vocab_size": SIZE, "num_attention_heads": 4, "pad_token_id": 0}


def encoder(width: int = 32, layers: int = 2, seed: int = 0) -> PreTrainedModel:
    torch.manual_seed(seed)
    config = ModernBertConfig(
        **SIZES, hidden_size=width, num_hidden_layers=layers, intermediate_size=48
    )
    return _loud(ModernBertForMaskedLM(config))


def preln(width: int = 64, layers: int = 3) -> PreTrainedModel:
    torch.manual_seed(5)
    config = RobertaPreLayerNormConfig(
        **SIZES, hidden_size=width, num_hidden_layers=layers, intermediate_size=96
    )
    return _loud(RobertaPreLayerNormForMaskedLM(config))


def _loud(model: PreTrainedModel) -> PreTrainedModel:
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(5)
    return model.eval()


def masked_batch(rows: int = 4) -> TokenBatch:
    torch.manual_seed(7)
    ids = torch.randint(1, SIZE, (rows, LENGTH))
    labels = torch.where(torch.rand(rows, LENGTH) < 0.3, ids, IGNORED_LABEL)
    labels[:, 3] = ids[:, 3]
    segments = (torch.arange(LENGTH) >= 5).int().expand(rows, -1).contiguous()
    return TokenBatch(ids, labels, segment_positions(segments), segments)


def objective(losses: LossSpec, student=None, teacher=None, **options) -> DistillationObjective:
    student = encoder() if student is None else student
    teacher = Teacher(preln() if teacher is None else teacher)
    return DistillationObjective(student, teacher, losses, size=SIZE, chunk_places=7, **options)


def logits(model: PreTrainedModel, batch: TokenBatch) -> torch.Tensor:
    """Logits as transformers computes them, document by document."""
    rows = []
    for ids in batch.input_ids:
        parts = [model(input_ids=part.view(1, -1)).logits[0] for part in (ids[:5], ids[5:])]
        rows.append(torch.cat(parts))
    return torch.stack(rows)


def test_soft_and_hard_loss_of_an_encoder_are_the_plain_ones() -> None:
    losses = LossSpec(soft=0.6, hard=0.4, temperature=2.0)
    student, teacher, batch = encoder(), preln(), masked_batch()
    module = objective(losses, student, teacher)
    scored = batch.labels != IGNORED_LABEL
    mine, theirs = (logits(model, batch)[scored] for model in (student, teacher))
    soft = F.kl_div(
        torch.log_softmax(mine / 2, -1),
        torch.log_softmax(theirs / 2, -1),
        log_target=True,
        reduction="sum",
    )
    hard = F.cross_entropy(mine, batch.labels[scored], reduction="sum")
    expected = 0.6 * 4 * soft + 0.4 * hard
    loss = module(batch)
    torch.testing.assert_close(loss, expected, rtol=1e-3, atol=1e-3)
    loss.backward()
    assert all(p.grad is None for p in teacher.parameters())
    assert any(p.grad is not None and p.grad.any() for p in student.model.layers[0].parameters())


def test_the_teacher_is_no_part_of_the_module() -> None:
    module = objective(LossSpec())
    names = [name for name, _ in module.named_parameters()]
    assert all(name.startswith("model.") for name in names)
    assert len(names) == len(list(module.model.parameters()))
    assert not any(p.requires_grad for p in module.teacher.model.parameters())


@pytest.mark.parametrize(
    "losses",
    [
        LossSpec(positions="all"),
        LossSpec(relations=1.0, relation_heads=4),
        LossSpec(hidden=1.0, hidden_layers="last", hidden_distance="mse"),
    ],
    ids=["all", "relations", "hidden"],
)
def test_how_rows_are_shared_out_does_not_change_the_sum(losses: LossSpec) -> None:
    module, batch = objective(losses, teacher=preln(32)), masked_batch(5)
    with torch.no_grad():
        whole = module(batch)
        parts = module(batch.rows(0, 2)) + module(batch.rows(2, 5).padded(6))
    torch.testing.assert_close(parts, whole, rtol=1e-4, atol=1e-4)
    plain = objective(LossSpec(), teacher=preln(32))
    with torch.no_grad():
        assert abs(float(plain(batch)) - float(whole)) > 0.005


def test_relations_learn_without_matrices_where_widths_differ() -> None:
    module = objective(LossSpec(soft=0.1, relations=5.0, relation_heads=4, relation_layer=2))
    assert len(module.projections) == 0
    optimizer = torch.optim.Adam(module.parameters(), lr=3e-3)
    batch, sums = masked_batch(), []
    for _ in range(25):
        optimizer.zero_grad()
        loss = module(batch)
        loss.backward()
        optimizer.step()
        sums.append(loss.item())
    assert sums[-1] < 0.7 * sums[0]


def test_hidden_states_of_other_widths_are_compared_through_learned_matrices() -> None:
    module = objective(LossSpec(hidden=1.0, hidden_layers="uniform"))
    assert [tuple(p.weight.shape) for p in module.projections] == [(64, 32)] * 2
    module(masked_batch()).backward()
    assert all(p.weight.grad.any() for p in module.projections)


def test_tokens_are_the_students_own_nll() -> None:
    student, batch = encoder(), masked_batch()
    nll = objective(LossSpec(), student)(batch, returns="tokens")
    scored = batch.labels != IGNORED_LABEL
    expected = F.cross_entropy(
        logits(student, batch)[scored], batch.labels[scored], reduction="none"
    )
    torch.testing.assert_close(nll[scored], expected, rtol=1e-3, atol=1e-3)
    assert not nll[~scored].any()


def test_an_encoder_decoder() -> None:
    def model(layers: int) -> PreTrainedModel:
        config = BartConfig(
            vocab_size=SIZE,
            d_model=16,
            encoder_layers=layers,
            decoder_layers=layers,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            encoder_ffn_dim=32,
            decoder_ffn_dim=32,
        )
        return _loud(BartForConditionalGeneration(config))

    ids = torch.randint(3, SIZE, (2, 8))
    zeros = torch.zeros(2, 8, dtype=torch.int32)
    batch = PairBatch(ids, segment_positions(zeros), zeros, ids[:, :5], zeros[:, :5], ids[:, 1:6])
    losses = LossSpec(relations=1.0, relation_heads=2, hidden=1.0)
    module = objective(losses, model(1), model(2))
    loss = module(batch)
    loss.backward()
    assert loss.item() > 0
    assert module.model.model.encoder.layers[0].self_attn.q_proj.weight.grad.any()


def test_a_teacher_that_reads_documents_apart_gives_logits_only() -> None:
    config = DebertaV2Config(**SIZES, hidden_size=32, num_hidden_layers=1, intermediate_size=48)
    teacher = _loud(DebertaV2ForMaskedLM(config))
    assert objective(LossSpec(), teacher=teacher)(masked_batch()).item() > 0
    module = objective(LossSpec(relations=1.0, relation_heads=4), teacher=teacher)
    with pytest.raises(InputError, match="a row of its own"):
        module(masked_batch())


def test_a_teacher_that_says_nan_is_named() -> None:
    teacher = preln()
    with torch.no_grad():
        teacher.lm_head.dense.weight[0, 0] = float("nan")
    with pytest.raises(InputError, match="teacher's logits are not numbers"):
        objective(LossSpec(), teacher=teacher)(masked_batch())


def test_activations_need_a_teacher_and_a_layer_it_has() -> None:
    with pytest.raises(InputError, match="a teacher that runs beside"):
        DistillationObjective(encoder(), None, LossSpec(relations=1.0), size=SIZE)
    with pytest.raises(InputError, match="no such layer"):
        objective(LossSpec(relations=1.0, relation_layer=4))
    with pytest.raises(InputError, match="carries no answers"):
        DistillationObjective(encoder(), None, LossSpec(), size=SIZE)(masked_batch())


def decoder_batch() -> TokenBatch:
    batch = masked_batch(6)
    return replace(batch, labels=batch.input_ids.roll(-1, 1))


def test_a_student_continues_the_document_in_the_middle_of_a_row() -> None:
    student, batch = tiny_qwen3(SIZE), decoder_batch()
    own = own_continuations(student, batch)
    assert own.input_ids.shape == (6, 6)
    assert torch.equal(own.input_ids[:, 0], batch.input_ids[:, 5])
    assert torch.equal(
        own.labels[:, :-1][own.labels[:, :-1] >= 0].sort().values,
        own.input_ids[:, 1:][own.labels[:, :-1] >= 0].sort().values,
    )
    again = own_continuations(student, batch)
    assert torch.equal(own.labels, again.labels)
    scores = hidden_states(student, own) @ student.lm_head.weight.t()
    nll = F.cross_entropy(scores.flatten(0, 1), own.labels.flatten()).item()
    random = F.cross_entropy(scores.flatten(0, 1), own.labels.roll(1, 0).flatten()).item()
    assert nll < random


def test_a_teacher_judges_what_the_student_wrote() -> None:
    losses = LossSpec(on_policy=1.0, divergence=1.0, hard=0.5)
    student = tiny_gpt2(SIZE)
    module = objective(losses, student, tiny_qwen3(SIZE))
    module(decoder_batch()).backward()
    assert student.transformer.h[0].mlp.c_fc.weight.grad.any()
    same = objective(losses, student, student)
    assert same(decoder_batch()).item() == pytest.approx(0, abs=1e-4)


def test_the_share_of_own_words() -> None:
    batches = [TokenBatch(*([torch.randint(0, SIZE, (2, LENGTH))] * 4)) for _ in range(400)]
    share = sum(wants_own_words(batch, 0.3) for batch in batches) / 400
    assert 0.2 < share < 0.4
    assert not any(wants_own_words(batch, 0.0) for batch in batches)
    assert all(wants_own_words(batch, 1.0) for batch in batches)


def test_encoders_write_nothing() -> None:
    pair = PairBatch(*([torch.zeros(1, 2, dtype=torch.long)] * 6))
    with pytest.raises(InputError, match="only decoders write"):
        own_continuations(encoder(), pair)
