"""Real text for benchmarks: utterances of a voice assistant in all languages."""

from __future__ import annotations

from pathlib import Path

from hunmin.core.artifact import Artifact
from hunmin.corpus.build import build_corpus
from hunmin.corpus.sources.spec import HomeAssistantSource
from hunmin.corpus.spec import CorpusSpec
from hunmin.data.shards import write_shards
from hunmin.data.spec import DataSpec
from hunmin.tokenizer.spec import TokenizerSpec
from hunmin.tokenizer.train import train_tokenizer


def benchmark_tokens(
    folder: Path, data: DataSpec, vocab_size: int, *, utterances_per_language: int
) -> tuple[Artifact, int]:
    """Make token shards from scratch.

    Args:
        folder: Where the artifacts go.
        data: Context and order.
        vocab_size: Entries of the tokenizer.
        utterances_per_language: Most utterances of a language.

    Returns:
        The tokens artifact and the size of the tokenizer.
    """
    source = HomeAssistantSource(max_utterances_per_language=utterances_per_language)
    documents = build_corpus(CorpusSpec(sources=(source,)), folder / "corpus")
    spec = TokenizerSpec(vocab_size=vocab_size, allow_smaller=True)
    tokenizer = train_tokenizer(spec, documents, folder / "tokenizer")
    tokens = write_shards(data, documents, tokenizer, folder / "data")
    return tokens, int(tokenizer.facts["vocab_size"])
