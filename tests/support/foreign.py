"""Folders of models that hunmin did not make: other splits, special tokens above the vocabulary."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA3_SPLIT = QWEN2_SPLIT.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
CHAT_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
ENGLISH = [
    "All human beings are born free and equal in dignity and rights.",
    "They are endowed with reason and conscience and should act in a spirit of brotherhood.",
    "Everyone has the right to life, liberty and security of person; it's theirs in 2026.",
]
KOREAN = [
    "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.",
    "인간은 천부적으로 이성과 양심을 부여받았으며 서로 형제애의 정신으로 행동하여야 한다.",
    "모든 사람은 생명과 신체의 자유와 안전에 대한 권리를 가진다.",
    "API를 쓰는 사람은 권리가 있다! (인간의 권리) 2026년",
]


def foreign_definition(
    texts: Sequence[str] = ENGLISH,
    *,
    vocab_size: int = 320,
    split: str = QWEN2_SPLIT,
    special_tokens: Sequence[str] = CHAT_TOKENS,
    ignore_merges: bool = False,
) -> str:
    """Train a tokenizer as Qwen 2 and Llama 3 have it."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(split), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens(list(special_tokens))
    return tokenizer.to_str()


def write_foreign(
    folder: Path, definition: str, *, tokenizer_class: str = "PreTrainedTokenizerFast"
) -> Path:
    """Write a folder as a hub has it, with the slow files that go stale."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(definition, encoding="utf-8")
    model = json.loads(definition)["model"]
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]), encoding="utf-8")
    (folder / "merges.txt").write_text("", encoding="utf-8")
    (folder / "chat_template.jinja").write_text("{{ messages[0].content }}", encoding="utf-8")
    config = {
        "tokenizer_class": tokenizer_class,
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "model_max_length": 256,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def write_donor(folder: Path, texts: Sequence[str] = KOREAN, *, vocab_size: int = 420) -> Path:
    """Write a tokenizer folder as hunmin makes them."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=["<|endoftext|>", "<|pad|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder
