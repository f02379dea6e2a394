"""Models with random weights that run in milliseconds, and a tokenizer that fits them."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel, Qwen3Config, Qwen3ForCausalLM

from hunmin.tokenizer.load import TextTokenizer
from tests.support.texts import SENTENCES

CONTEXT = 256


def tokenizer_definition() -> str:
    """Train a byte-level tokenizer with about 400 tokens on a few sentences."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>", "<|pad|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = [sentence for sentences in SENTENCES.values() for sentence in sentences]
    tokenizer.train_from_iterator(texts * 4, trainer)
    return tokenizer.to_str()


def tiny_tokenizer() -> TextTokenizer:
    return TextTokenizer(tokenizer_definition())


def tiny_gpt2(vocab_size: int, *, context: int = CONTEXT) -> PreTrainedModel:
    config = GPT2Config(
        vocab_size=vocab_size,
        n_positions=context,
        n_embd=32,
        n_layer=2,
        n_head=2,
        bos_token_id=0,
        eos_token_id=0,
    )
    return _decisive(GPT2LMHeadModel, config)


def tiny_qwen3(vocab_size: int, *, context: int = CONTEXT) -> PreTrainedModel:
    config = Qwen3Config(
        vocab_size=vocab_size,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=context,
        bos_token_id=0,
        eos_token_id=0,
        tie_word_embeddings=False,
    )
    return _decisive(Qwen3ForCausalLM, config)


def _decisive(
    model_class: type[PreTrainedModel], config: GPT2Config | Qwen3Config
) -> PreTrainedModel:
    """Scale random matrices up, so that the likeliest token is likely and changes step by step."""
    torch.manual_seed(0)
    model = model_class(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(5)
    return model


def save_folder(model: PreTrainedModel, folder: Path) -> Path:
    """Write a plain Hugging Face folder."""
    model.save_pretrained(folder)
    (folder / "tokenizer.json").write_text(tokenizer_definition(), encoding="utf-8")
    return folder
