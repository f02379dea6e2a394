"""Unigram language models over pieces, trained by SentencePiece, as an ordinary tokenizer.json.

Two alphabets: characters, the rare ones spelled in bytes, where only spaces separate words, as
SentencePiece has it; and the bytes of byte-level BPE, with its split. Nothing is normalized.

SentencePiece and not the trainer of `tokenizers`: with 15 MB of Korean and 32,000 entries both
took some 53 s on two shared cores, and its pieces hold 2.3 % more bytes (5.99 to 5.85); over the
bytes of 4 MB it took 32 s to 61 s. It gives the same result again, whatever the number of cores.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

from hunmin.core.extras import require
from hunmin.core.logs import get_logger
from hunmin.tokenizer.alphabet import byte_to_character
from hunmin.tokenizer.consistent.word_types import UnitCounter, WordCounter
from hunmin.tokenizer.methods.base import TrainingTask
from hunmin.tokenizer.methods.char_bpe import max_characters, special_tokens
from hunmin.tokenizer.methods.characters import (
    check_room,
    choose_alphabet,
    count_characters,
    cut_rare,
)
from hunmin.tokenizer.methods.cuts import CUT, cut_names, names_in_text, refuse_collisions
from hunmin.tokenizer.pieces import BYTE_ENTRIES
from hunmin.tokenizer.splits import WordSplit, word_split

logger = get_logger(__name__)

EXTRA = "unigram"
# One space stays with the word after it.
SPACE_SPLIT = r" ?\S+|\s+(?!\S)|\s+"
_SPACE = "\u2581"
# SentencePiece takes these for ends of lines and marks of its own.
_LINE_ENDS = re.compile(f"[\n\r\t\0{_SPACE}{CUT}]+")
_BYTE_ENTRY_START = "<0x"
# The sums, and so the pieces, depend on the number of threads: it is the same everywhere.
_NUM_THREADS = 4
_LONGEST_LINE = 1 << 30
_LONGEST_PIECE = 512

Pieces = list[tuple[str, float]]


def train_unigram(task: TrainingTask) -> Tokenizer:
    """Train a unigram model over characters.

    Args:
        task: Spec and sample; `character_coverage` decides which characters are entries.

    Returns:
        A tokenizer with at most `spec.vocab_size` entries: special tokens, 256 bytes, pieces.

    Raises:
        MissingExtraError: sentencepiece is not installed.
        VocabularyError: The characters do not fit, or a special token is written like an entry.
    """
    spec = task.spec
    require("sentencepiece", extra=EXTRA)
    counts = count_characters(task.texts("counting characters"))
    alphabet = choose_alphabet(counts, spec.character_coverage)
    check_room(spec, alphabet)
    refuse_collisions([*BYTE_ENTRIES, *alphabet], spec.all_special_tokens)
    names = [*spec.all_special_tokens, *BYTE_ENTRIES]
    splitter = pre_tokenizers.Split(Regex(SPACE_SPLIT), "isolated")
    whole = names_in_text(spec.all_special_tokens, splitter, byte_level=False)
    texts = cut_names(task.texts(), [*whole, _BYTE_ENTRY_START])
    lines = _lines(cut_rare(texts, counts, alphabet, wall=CUT))
    options = {"input_format": "text", "max_sentencepiece_length": max_characters(spec)}
    lines = chain(lines, sorted(set("".join(names)) - {" "}))
    pieces = _train(lines, spec.vocab_size - len(names), options)
    task.facts["characters"] = len(alphabet)
    refuse_collisions([piece for piece, _ in pieces], names)
    tokenizer = Tokenizer(models.Unigram(_with_names(names, pieces), 0, byte_fallback=True))
    tokenizer.pre_tokenizer = splitter
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens(special_tokens(spec))
    return tokenizer


def train_byte_unigram(task: TrainingTask) -> Tokenizer:
    """Train a unigram model over bytes.

    Args:
        task: Spec and sample.

    Returns:
        A tokenizer with at most `spec.vocab_size` entries: special tokens, 256 bytes, pieces.

    Raises:
        MissingExtraError: sentencepiece is not installed.
        VocabularyError: A special token is written like an entry.
    """
    spec = task.spec
    require("sentencepiece", extra=EXTRA)
    names = spec.all_special_tokens
    refuse_collisions(byte_to_character(), names)
    split = word_split(spec.split)
    splitter = split.byte_level()
    texts = cut_names(task.texts(), names_in_text(names, splitter, byte_level=True))
    rows = _word_rows(texts, split)
    # The characters of the byte table say nothing about scripts and digits.
    options = {
        "input_format": "tsv",
        "max_sentencepiece_length": spec.max_token_bytes,
        "split_by_unicode_script": False,
        "split_by_number": False,
    }
    rows = chain(rows, (f"{character}\t1" for character in byte_to_character()))
    pieces = _train(rows, spec.vocab_size - len(names), options)
    refuse_collisions([piece for piece, _ in pieces], names)
    tokenizer = Tokenizer(models.Unigram(_with_names(names, pieces), None, byte_fallback=False))
    tokenizer.pre_tokenizer = splitter
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(special_tokens(spec))
    return tokenizer


def _lines(texts: Iterable[list[str]]) -> Iterator[str]:
    for batch in texts:
        for text in batch:
            yield from filter(None, _LINE_ENDS.split(text))


def _word_rows(texts: Iterable[list[str]], split: WordSplit) -> Iterator[str]:
    """Count words, and yield each in the characters of the byte table with its count."""
    units, words = UnitCounter(), WordCounter(split)
    for batch in texts:
        for text in batch:
            units.add(text)
    words.add_units(units.counts)
    table = dict(enumerate(byte_to_character()))
    for word, count in words.counts.items():
        for part in filter(None, word.split(CUT)):
            yield f"{part.encode().decode('latin-1').translate(table)}\t{count}"


def _train(rows: Iterable[str], size: int, options: Mapping[str, Any]) -> Pieces:
    """Learn pieces.

    Args:
        rows: Lines of text, or words with counts; each of their characters becomes a piece.
        size: Pieces to learn.
        options: Further options of SentencePiece; None is no limit.

    Returns:
        At most so many pieces with their log probabilities.
    """
    sentencepiece = require("sentencepiece", extra=EXTRA)
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=_tell_the_end(rows, size),
        model_writer=model,
        model_type="unigram",
        # One more for its unknown token, which is dropped.
        vocab_size=size + 1,
        hard_vocab_limit=False,
        character_coverage=1.0,
        normalization_rule_name="identity",
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        allow_whitespace_only_pieces=True,
        bos_id=-1,
        eos_id=-1,
        pad_id=-1,
        num_threads=_NUM_THREADS,
        max_sentence_length=_LONGEST_LINE,
        minloglevel=2,
        **{name: _LONGEST_PIECE if value is None else value for name, value in options.items()},
    )
    return _read_pieces(sentencepiece.SentencePieceProcessor(model_proto=model.getvalue()))


def _tell_the_end(rows: Iterable[str], size: int) -> Iterator[str]:
    yield from rows
    logger.info("text is read; learning %d pieces, SentencePiece does not say how far it is", size)


def _read_pieces(processor: Any) -> Pieces:
    return [
        (processor.id_to_piece(number).replace(_SPACE, " "), round(processor.get_score(number), 6))
        for number in range(processor.get_piece_size())
        if not processor.is_unknown(number)
    ]


def _with_names(names: Sequence[str], pieces: Pieces) -> Pieces:
    """Put names first, each less probable than its characters one by one: no text becomes one."""
    least = min(score for _, score in pieces)
    return [(name, round(least * (len(name) + 1) - 1, 6)) for name in names] + pieces
