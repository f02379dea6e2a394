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
from hunmin.tokenizer.load import TextTokenizer
from hunmin.tokenizer.methods.base import Method, TrainingTask
from hunmin.tokenizer.methods.byte_bpe import train_byte_bpe
from hunmin.tokenizer.sample import Sample, plan_sample
from hunmin.tokenizer.spec import BOUNDARY_TOKEN, PAD_TOKEN, Kind, TokenizerSpec

logger = get_logger(__name__)

# What transformers takes for "no limit".
_NO_LIMIT = int(1e30)

METHODS: dict[Kind, Method] = {
    "byte-bpe": train_byte_bpe,
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
        VocabularyError: The sample supports fewer entries than asked for.

    Note:
        Deterministic: the same documents and spec give the same bytes.
    """
    sample = plan_sample(documents, spec)
    task = TrainingTask(spec, documents, sample)
    tokenizer = METHODS[spec.kind](task)
    _check_filled(spec, tokenizer, sample)
    definition = tokenizer.to_str(pretty=True)
    with write_artifact(output, "tokenizer", recipe=recipe, inputs=[documents]) as draft:
        _write_folder(draft.path, definition, spec)
        draft.facts.update(
            vocab_size=tokenizer.get_vocab_size(),
            merges=_num_merges(tokenizer, spec),
            special_tokens=list(spec.all_special_tokens),
            sample_bytes=sample.total_bytes,
            sample_bytes_by_language=dict(sorted(sample.bytes_by_language.items())),
            digest=TextTokenizer(definition).digest,
            kind=spec.kind,
            **task.facts,
        )
    return load_artifact(output, "tokenizer", verify=False)


def _num_merges(tokenizer: Tokenizer, spec: TokenizerSpec) -> int:
    return tokenizer.get_vocab_size() - NUM_BYTES - len(spec.all_special_tokens)


def _check_filled(spec: TokenizerSpec, tokenizer: Tokenizer, sample: Sample) -> None:
    size = tokenizer.get_vocab_size()
    if size >= spec.vocab_size:
        return
    problem = (
        f"the text supports only {_num_merges(tokenizer, spec)} merges "
        f"(a vocabulary of {size}), because no other pair occurs {spec.min_frequency} times "
        f"in {format_bytes(sample.total_bytes)}"
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


def _write_folder(folder: Path, definition: str, spec: TokenizerSpec) -> None:
    special = {"bos_token": BOUNDARY_TOKEN, "eos_token": BOUNDARY_TOKEN, "pad_token": PAD_TOKEN}
    extra = {"additional_special_tokens": list(spec.special_tokens)} if spec.special_tokens else {}
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
