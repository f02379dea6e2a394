"""Write a tokenizer as GGUF metadata, which llama.cpp reads.

llama.cpp does not read the pre-tokenizer of tokenizer.json: it has a list of known ones, chosen by
name. Only the stock GPT-2 split (`gpt-2`) is one that a new vocabulary can use.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hunmin.core.atomic import atomic_file
from hunmin.core.errors import InputError
from hunmin.core.extras import require
from hunmin.tokenizer.load import TextTokenizer
from hunmin.tokenizer.pieces import is_byte_level_bpe, read_merges
from hunmin.tokenizer.splits import GPT2_SPLIT, find_split

EXTRA = "gguf"
# Any architecture that llama.cpp knows: a file without weights is only good for its vocabulary.
_ARCHITECTURE = "gpt2"
_MODEL = "gpt2"
_SPLIT = "gpt-2"


def export_gguf(tokenizer: TextTokenizer, path: Path) -> None:
    """Write a GGUF file with the vocabulary and no weights.

    Args:
        tokenizer: Byte-level BPE with the stock GPT-2 split.
        path: The file; an older one is replaced.

    Raises:
        InputError: llama.cpp could not run this tokenizer; the message says why.
        MissingExtraError: gguf is not installed.
        DiskFullError: No space is left.
    """
    definition = tokenizer.parsed
    reason = why_not_gguf(tokenizer)
    if reason is not None:
        raise InputError(
            f"llama.cpp cannot run this tokenizer: {reason}",
            allowed="byte-level BPE with the stock GPT-2 split, no normalizer and no analyser in "
            "use: kinds byte-bpe, morpheme-bpe, morpheme-bpe-train-only with tokenizer.split=gpt-2 "
            "and without superwords",
            hint="use the folder with transformers or vLLM, or train one of these kinds",
        )
    library = require("gguf", extra=EXTRA)
    with atomic_file(path) as draft:
        writer = library.GGUFWriter(draft, _ARCHITECTURE)
        _describe(writer, tokenizer, definition, library.TokenType)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def why_not_gguf(tokenizer: TextTokenizer) -> str | None:
    """Say what in this tokenizer llama.cpp cannot run; None if nothing.

    Args:
        tokenizer: Any tokenizer.

    Returns:
        A clause such as "it normalizes text".
    """
    definition = tokenizer.parsed
    if tokenizer.cutter is not None:
        return "it needs an analyser in use"
    if not is_byte_level_bpe(definition):
        return f"it is no byte-level BPE (model {definition['model'].get('type')})"
    if find_split(definition) != GPT2_SPLIT:
        return "its split of words is not the stock one of GPT-2, and llama.cpp reads no regex"
    if definition.get("normalizer") is not None:
        return "it normalizes text"
    return None


def _describe(
    writer: Any, tokenizer: TextTokenizer, definition: Mapping[str, Any], types: Any
) -> None:
    names, kinds = _entries(tokenizer, definition, types)
    writer.add_name("tokenizer")
    writer.add_vocab_size(len(names))
    writer.add_tokenizer_model(_MODEL)
    writer.add_tokenizer_pre(_SPLIT)
    writer.add_token_list(names)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(pair) for pair in read_merges(definition["model"])])
    writer.add_bos_token_id(tokenizer.boundary_id)
    writer.add_eos_token_id(tokenizer.boundary_id)
    writer.add_pad_token_id(tokenizer.pad_id)
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)


def _entries(
    tokenizer: TextTokenizer, definition: Mapping[str, Any], types: Any
) -> tuple[list[str], list[int]]:
    """Return the written form and the type of each id; ids without an entry are unused."""
    names = [f"[UNUSED{token}]" for token in range(tokenizer.size)]
    kinds = [int(types.UNUSED)] * tokenizer.size
    for piece, token in definition["model"]["vocab"].items():
        names[token], kinds[token] = piece, int(types.NORMAL)
    for added in definition["added_tokens"]:
        kind = types.CONTROL if added["special"] else types.USER_DEFINED
        names[added["id"]], kinds[added["id"]] = added["content"], int(kind)
    return names, kinds
