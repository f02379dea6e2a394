"""Train a tokenizer: a documents artifact in, a Hugging Face folder out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from hunmin.core.artifact import Artifact, load_artifact, write_artifact
from hunmin.core.errors import VocabularyError
from hunmin.core.logs import get_logger
from hunmin.core.units import format_bytes
from hunmin.tokenizer.alphabet import NUM_BYTES
from hunmin.tokenizer.cut_words import warn_of_cut_words
from hunmin.tokenizer.load import load_tokenizer
from hunmin.tokenizer.methods.base import Method, TrainingTask
from hunmin.tokenizer.methods.byte_bpe import train_byte_bpe
from hunmin.tokenizer.methods.char_bpe import train_char_bpe
from hunmin.tokenizer.methods.morpheme_bpe import train_morpheme_bpe
from hunmin.tokenizer.methods.presplit import train_exact_bpe, train_presplit_bpe
from hunmin.tokenizer.methods.unigram import train_byte_unigram, train_unigram
from hunmin.tokenizer.reserved import MASK_TOKEN
from hunmin.tokenizer.sample import plan_sample
from hunmin.tokenizer.spec import (
    BOUNDARY_TOKEN,
    CONSISTENT_KIND,
    PAD_TOKEN,
    UNIGRAM_KINDS,
    Kind,
    TokenizerSpec,
)

logger = get_logger(__name__)

# What transformers takes for "no limit".
_NO_LIMIT = int(1e30)

METHODS: dict[Kind, Method] = {
    "byte-bpe": train_byte_bpe,
    "char-bpe": train_char_bpe,
    "unigram": train_unigram,
    "byte-unigram": train_byte_unigram,
    "morpheme-bpe": train_morpheme_bpe,
    "morpheme-bpe-train-only": train_presplit_bpe,
    "morpheme-bpe-exact": train_exact_bpe,
}


def train_tokenizer(
    spec: TokenizerSpec,
    documents: Artifact,
    output: Path,
    *,
    recipe: Mapping[str, Any] | None = None,
) -> Artifact:
    """Train a tokenizer on the documents' train split.

    Args:
        spec: Vocabulary size, special tokens, sample.
        documents: A documents artifact.
        output: Folder of the tokenizer artifact.
        recipe: Recorded in the manifest.

    Returns:
        The tokenizer artifact; stock `transformers` opens its folder.

    Raises:
        EmptyCorpusError: The train split holds no text.
        VocabularyError: The sample supports fewer entries than asked for, its characters need
            more, or a special token is written like an entry.
        MissingExtraError: The method needs a package that is not installed.

    Note:
        Deterministic: the same documents and spec give the same bytes.
    """
    task = plan_task(spec, documents)
    warn_of_cut_words(task)
    return write_tokenizer(task, METHODS[spec.kind](task), output, recipe=recipe)


def plan_task(spec: TokenizerSpec, documents: Artifact) -> TrainingTask:
    """Decide which text a tokenizer is trained on, and which tokens are reserved in it.

    Args:
        spec: What the recipe says.
        documents: A documents artifact.

    Returns:
        The task; its spec names all special tokens.

    Raises:
        EmptyCorpusError: The train split holds no text.
        VocabularyError: The vocabulary has no room for the reserved tokens.
    """
    sample = plan_sample(documents, spec)
    return TrainingTask(spec.with_reserved(sample.bytes_by_language), documents, sample)


def write_tokenizer(
    task: TrainingTask,
    tokenizer: Tokenizer,
    output: Path,
    *,
    recipe: Mapping[str, Any] | None = None,
) -> Artifact:
    """Write what a method has trained.

    Args:
        task: What it was trained from.
        tokenizer: The result.
        output: Folder of the tokenizer artifact.
        recipe: Recorded in the manifest.

    Returns:
        The tokenizer artifact.

    Raises:
        VocabularyError: It has fewer entries than asked for.
    """
    _check_filled(task, tokenizer)
    spec, sample = task.spec, task.sample
    definition = tokenizer.to_str(pretty=True)
    with write_artifact(output, "tokenizer", recipe=recipe, inputs=[task.documents]) as draft:
        _write_folder(draft.path, definition, spec)
        for name, content in task.files.items():
            (draft.path / name).parent.mkdir(parents=True, exist_ok=True)
            (draft.path / name).write_bytes(content)
        draft.facts.update(
            vocab_size=tokenizer.get_vocab_size(),
            **{_learned_unit(spec): _num_learned(task, tokenizer)},
            special_tokens=list(spec.all_special_tokens),
            sample_bytes=sample.total_bytes,
            sample_bytes_by_language=dict(sorted(sample.bytes_by_language.items())),
            digest=load_tokenizer(draft.path).digest,
            kind=spec.kind,
            **task.facts,
        )
    return load_artifact(output, "tokenizer", verify=False)


def _learned_unit(spec: TokenizerSpec) -> str:
    return "pieces" if spec.kind in UNIGRAM_KINDS else "merges"


def _num_learned(task: TrainingTask, tokenizer: Tokenizer) -> int:
    """Return how many entries are neither bytes, characters nor special tokens."""
    given = NUM_BYTES + len(task.spec.all_special_tokens) + int(task.facts.get("characters", 0))
    return tokenizer.get_vocab_size() - given


def _check_filled(task: TrainingTask, tokenizer: Tokenizer) -> None:
    spec, size = task.spec, tokenizer.get_vocab_size()
    if size >= spec.vocab_size:
        return
    reason = _reason(spec)
    problem = (
        f"the text supports only {_num_learned(task, tokenizer)} {_learned_unit(spec)} "
        f"(a vocabulary of {size}), because {reason} in {format_bytes(task.sample.total_bytes)}"
    )
    if not spec.allow_smaller:
        raise VocabularyError(
            problem,
            where="tokenizer.vocab_size",
            given=spec.vocab_size,
            allowed=f"{NUM_BYTES + len(spec.all_special_tokens)} to {size} with this text",
            hint=f"set tokenizer.vocab_size={size} or less, give more text, or set "
            "tokenizer.allow_smaller=true to take what the text supports",
        )
    logger.warning("vocabulary of %d instead of %d: %s", size, spec.vocab_size, problem)


def _reason(spec: TokenizerSpec) -> str:
    """Return why no more entries could be learned."""
    if spec.kind in UNIGRAM_KINDS:
        return "no other piece occurs often enough"
    reason = f"no other pair occurs {spec.min_frequency} times"
    if spec.kind != CONSISTENT_KIND or not spec.morphemes.analysers:
        return reason
    penalty = spec.morphemes.cross_penalty
    share = f"less {penalty:g}" if penalty >= 0 else f"and {-penalty:g}"
    return f"{reason} within morphemes, {share} for each time across a boundary,"


def _write_folder(folder: Path, definition: str, spec: TokenizerSpec) -> None:
    special = {"bos_token": BOUNDARY_TOKEN, "eos_token": BOUNDARY_TOKEN, "pad_token": PAD_TOKEN}
    others = [name for name in spec.special_tokens if name != MASK_TOKEN]
    extra: dict[str, Any] = {"additional_special_tokens": others} if others else {}
    if MASK_TOKEN in spec.special_tokens:
        extra["mask_token"] = MASK_TOKEN
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": _NO_LIMIT,
        "clean_up_tokenization_spaces": False,
        **special,
        **extra,
    }
    (folder / "tokenizer.json").write_text(definition, encoding="utf-8")
    _write_json(folder / "tokenizer_config.json", config)
    _write_json(folder / "special_tokens_map.json", special | extra)


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    text = json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)
    path.write_text(text + "\n", encoding="utf-8")
