"""A trained NLU model with random weights, and utterances that it parses right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import (
    AutoModel,
    ModernBertConfig,
    PreTrainedConfig,
    PreTrainedModel,
    RobertaPreLayerNormConfig,
)

from hunmin.adapt.nlu.annotations import CharacterSpan
from hunmin.adapt.nlu.config import NluConfig
from hunmin.adapt.nlu.massive_files import write_folder
from hunmin.adapt.nlu.model import JointModel, NluModel, save_nlu_model
from hunmin.adapt.nlu.utterances import make_utterance
from tests.support.texts import SENTENCES
from tests.support.tiny_models import tokenizer_definition

VOCAB_SIZE = 1200
"""More rows than the tokenizer needs: only large tables become int8."""
PAD_ID = 1
SIZES = {
    "vocab_size": VOCAB_SIZE,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "pad_token_id": PAD_ID,
    "bos_token_id": 0,
    "eos_token_id": 0,
}


def tiny_config(**changes: object) -> NluConfig:
    fields = {
        "intents": ("light_on", "light_off", "timer_set", "weather"),
        "slot_types": ("area", "name"),
        "max_tokens": 64,
        "prefix_ids": (0,),
        "pad_id": PAD_ID,
        "train_locales": ("en-US",),
    }
    return NluConfig.model_validate(fields | changes)


def tiny_roberta() -> PreTrainedModel:
    return _body(RobertaPreLayerNormConfig(**SIZES, max_position_embeddings=80))


def tiny_modernbert() -> PreTrainedModel:
    return _body(
        ModernBertConfig(
            **SIZES,
            max_position_embeddings=80,
            cls_token_id=0,
            sep_token_id=0,
            global_attn_every_n_layers=2,
            local_attention=8,
        )
    )


def _body(config: PreTrainedConfig) -> PreTrainedModel:
    torch.manual_seed(0)
    body: PreTrainedModel = AutoModel.from_config(config)
    if getattr(body, "pooler", None) is not None:
        body.pooler = None
    return body.eval()


def tiny_network(body: PreTrainedModel, config: NluConfig) -> JointModel:
    """Make a model with large weights, so that its answers differ from text to text."""
    torch.manual_seed(1)
    network = JointModel(body, config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                parameter.mul_(8)
    return network


def save_tiny_nlu(
    folder: Path, config: NluConfig | None = None, body: PreTrainedModel | None = None
) -> Path:
    """Write a model artifact, and return its folder."""
    config = config or tiny_config()
    tokenizer = folder.with_name(f"{folder.name}-tokenizer")
    tokenizer.mkdir(parents=True)
    (tokenizer / "tokenizer.json").write_text(tokenizer_definition(), encoding="utf-8")
    save_nlu_model(tiny_network(body or tiny_roberta(), config), config, tokenizer, folder)
    return folder


def tiny_texts() -> list[str]:
    """Return short texts in several scripts."""
    words = [text.split()[:6] for texts in SENTENCES.values() for text in texts]
    return sorted({" ".join(some[:size]) for some in words for size in (1, 2, 4, 6)})


def save_own_answers(
    model: NluModel, folder: Path, texts: Sequence[str], partition: str = "dev"
) -> Path:
    """Write utterances labelled with what the model says of them, so that it is right on all."""
    parses = model.parse(texts, "en-US")
    write_folder(
        folder,
        [
            make_utterance(
                id=str(number),
                locale="en-US",
                partition=partition,
                intent=parse.intent,
                utt=text,
                spans=[
                    CharacterSpan(slot.type, slot.first_character, slot.end_character)
                    for slot in parse.slots
                ],
            )
            for number, (text, parse) in enumerate(zip(texts, parses, strict=True))
        ],
    )
    return folder
