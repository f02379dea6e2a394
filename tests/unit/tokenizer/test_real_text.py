"""Real news in five scripts: nothing is lost, and both engines agree on every document."""

from __future__ import annotations

from pathlib import Path

import pytest
import zstandard
from tests.support.documents import document, write_documents

from hunmin.core.artifact import Artifact
from hunmin.tokenizer.load import load_tokenizer
from hunmin.tokenizer.spec import TokenizerSpec
from hunmin.tokenizer.train import train_tokenizer

FILES = {"ko": "kor", "ja": "jpn", "th": "tha", "ar": "arb", "hi": "hin"}


@pytest.fixture(scope="module")
def lines(shared_data: Path) -> dict[str, list[str]]:
    found = {}
    for language, code in FILES.items():
        (file,) = (shared_data / "ntrex128").glob(f"newstest2019-ref.{code}*.txt.zst")
        data = file.read_bytes()
        text = zstandard.ZstdDecompressor().decompressobj().decompress(data).decode()
        found[language] = text.splitlines()[:600]
    return found


@pytest.fixture(scope="module")
def news(lines: dict[str, list[str]], tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    rows = [document(line, language) for language in lines for line in lines[language]]
    return write_documents(tmp_path_factory.mktemp("news") / "corpus", {"train": rows})


def test_real_text(lines: dict[str, list[str]], news: Artifact, tmp_path: Path) -> None:
    spec = TokenizerSpec(vocab_size=2_000, temperature=0)
    tokenizer = load_tokenizer(train_tokenizer(spec, news, tmp_path / "tokenizer").path)
    for language, texts in lines.items():
        assert tokenizer.engines_agree(texts)
        ids = tokenizer.encode_batch(texts)
        assert [tokenizer.decode(row.tolist()) for row in ids] == texts
        num_bytes = sum(len(text.encode()) for text in texts)
        # Byte by byte would be 1; every script gets its share of the merges.
        assert num_bytes / sum(map(len, ids)) > 2, language
