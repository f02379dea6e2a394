"""Tokenizers small enough to know by heart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tests.support.texts import SENTENCES
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

from hunmin.tokenizer.alphabet import byte_to_character
from hunmin.tokenizer.compare.library import LibrarySubject
from hunmin.tokenizer.spec import REQUIRED_SPECIAL_TOKENS

TEXT = "저는 밥을 먹었습니다"
Merges = Sequence[tuple[str, str]]


def spelled(text: str) -> str:
    return "".join(byte_to_character()[byte] for byte in text.encode())


def byte_bpe(*entries: str, merges: Merges = ()) -> Tokenizer:
    """Byte-level BPE that makes some merges, then joins the bytes of each entry left to right."""
    pieces = {special: number for number, special in enumerate(REQUIRED_SPECIAL_TOKENS)}
    pieces |= {c: number + len(pieces) for number, c in enumerate(byte_to_character())}
    merges = list(merges)
    pieces |= {"".join(merge): number + len(pieces) for number, merge in enumerate(merges)}
    for entry in entries:
        symbols = spelled(entry)
        for end in range(2, len(symbols) + 1):
            if symbols[:end] not in pieces:
                pieces[symbols[:end]] = len(pieces)
                merges.append((symbols[: end - 1], symbols[end - 1]))
    tokenizer = Tokenizer(models.BPE(vocab=pieces, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(REQUIRED_SPECIAL_TOKENS))
    return tokenizer


def char_bpe(characters: str, *merges: tuple[str, str], fallback: bool = False) -> Tokenizer:
    """BPE of characters with ▁ for spaces; what it lacks is unknown, or spelled in bytes."""
    pieces = ["<unk>", *characters, *("".join(merge) for merge in merges)]
    pieces += [f"<0x{byte:02X}>" for byte in range(256)] if fallback else []
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    model = models.BPE(
        vocab=vocabulary, merges=list(merges), unk_token="<unk>", byte_fallback=fallback
    )
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    if fallback:
        steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
        tokenizer.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)])
    return tokenizer


def wordpiece(*entries: str) -> Tokenizer:
    vocabulary = {piece: number for number, piece in enumerate(["[UNK]", *entries])}
    tokenizer = Tokenizer(models.WordPiece(vocab=vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def unigram(*entries: tuple[str, float]) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram([("<unk>", -10.0), *entries], unk_id=0))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer


def subject(tokenizer: Tokenizer, name: str = "subject") -> LibrarySubject:
    return LibrarySubject(name, tokenizer.to_str())


@pytest.fixture
def morphemic() -> LibrarySubject:
    """Cuts 저|는 밥|을 먹|었|습니다."""
    return subject(byte_bpe("저", "는", " 밥", "을", " 먹", "었", "습니다", "먹"), "morphemic")


@pytest.fixture
def greedy() -> LibrarySubject:
    """Cuts 저는 밥을 먹었|습니다."""
    return subject(byte_bpe("저는", " 밥을", " 먹었", "습니다", "먹었"), "greedy")


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, Tokenizer], Path]:
    """Write a folder with nothing but tokenizer.json."""

    def write_folder(name: str, tokenizer: Tokenizer) -> Path:
        (tmp_path / name).mkdir()
        tokenizer.save(str(tmp_path / name / "tokenizer.json"))
        return tmp_path / name

    return write_folder


@pytest.fixture
def text_file(tmp_path: Path) -> Path:
    """Korean lines."""
    path = tmp_path / "lines.txt"
    path.write_text("\n".join([TEXT, *SENTENCES["ko"]] * 3) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def gold_file(tmp_path: Path) -> Path:
    """Segmented words and their segments."""
    path = tmp_path / "words.tsv"
    rows = ["먹었습니다\t먹 @@었 @@습니다", "밥을\t밥 @@을", "저는\t저 @@는"]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path
