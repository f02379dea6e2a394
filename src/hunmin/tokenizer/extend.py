"""Add a language to the tokenizer of an existing model: old ids stay, new pieces follow them."""

from __future__ import annotations

import json
import math
import shutil
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hunmin.core.artifact import (
    MANIFEST_NAME,
    Artifact,
    check_output,
    load_artifact,
    write_artifact,
)
from hunmin.core.errors import EmptyCorpusError, InputError, VocabularyError
from hunmin.core.hashing import sha256_file
from hunmin.core.logs import get_logger
from hunmin.core.progress import progress
from hunmin.corpus.sources.files.reader import FileReader
from hunmin.corpus.sources.spec import FieldNames, FilesSource
from hunmin.text.scripts import count_scripts, expand_scripts
from hunmin.tokenizer.alphabet import NUM_BYTES, piece_to_bytes
from hunmin.tokenizer.extension.base import BaseTokenizer, load_base
from hunmin.tokenizer.extension.learn import count_words, learn_extension
from hunmin.tokenizer.extension.measure import (
    ExtensionFacts,
    describe_extension,
    measure_extension,
)
from hunmin.tokenizer.extension.scripts import PieceRule
from hunmin.tokenizer.load import TextTokenizer, check_encodable, load_tokenizer

logger = get_logger(__name__)

MAX_TEXT_BYTES = 100_000_000
_MAX_CHARACTERS = 1_000_000
_HELD_OUT_EVERY = 20
_MAX_HELD_OUT = 5_000
# A script that fewer of the letters belong to is foreign matter in the texts.
_MIN_SCRIPT_SHARE = 0.05
_MIN_OWN_SHARE = 0.2
_NUM_SAMPLES = 24
_COMPANIONS = (
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
)


@dataclass(frozen=True)
class ExtensionOptions:
    """How a tokenizer is extended.

    Args:
        scripts: ISO 15924 codes; new pieces hold or begin a character of them, so that text
            without them cannot change. None finds the texts' own scripts, if they have any beside
            Latin; empty allows any piece.
        max_new: Most new pieces; None for as many as the donor has beside bytes.
        min_frequency: How often a new pair must occur in the texts.
        cross_penalty: Lambda: what a boundary between the donor's tokens counts against a merge.
            0 or more keeps new pieces within the donor's tokens, -1 ignores the donor.
    """

    scripts: tuple[str, ...] | None = None
    max_new: int | None = None
    min_frequency: int = 2
    cross_penalty: float = 1.0

    def __post_init__(self) -> None:
        if not -1 <= self.cross_penalty < math.inf:
            raise InputError(
                "this is no penalty",
                where="cross_penalty",
                given=self.cross_penalty,
                allowed="a finite number of at least -1",
            )


@dataclass(frozen=True)
class ExtendedTokenizer:
    """An extended tokenizer beside the one it was made from.

    Args:
        base: The old tokenizer.
        extended: The new one.
        facts: What was added and what that does.
    """

    base: BaseTokenizer
    extended: BaseTokenizer
    facts: ExtensionFacts

    def old_ids(self) -> dict[int, list[int]]:
        """Return for each new id the old ids that its text had."""
        new_ids = range(self.base.num_ids, self.extended.num_ids)
        return {n: self.base.encode_word(self.extended.pieces[n]) for n in new_ids}


def extend_tokenizer(
    base: BaseTokenizer,
    donor: TextTokenizer,
    texts: Iterable[str],
    *,
    keep: Iterable[str] = (),
    options: ExtensionOptions | None = None,
) -> ExtendedTokenizer:
    """Add the pieces that a language needs.

    Args:
        base: The tokenizer of the existing model.
        donor: A tokenizer made for the language; new pieces follow its boundaries.
        texts: Text of the language, at best some megabytes.
        keep: Text of the languages that the model knows: merges that would change it are avoided,
            and a part of it is held out to measure how often it changes nevertheless.
        options: Scripts, number of pieces and the like.

    Returns:
        The tokenizer and the facts about it.

    Raises:
        EmptyCorpusError: The texts hold nothing, or nothing in the scripts.
        TextEncodingError: A text holds a lone surrogate.
        VocabularyError: There is nothing new to add.

    Note:
        Deterministic. Every 20th line of the texts, by a hash of the line, is held out.

    Source:
        Purason et al. 2025, "Teaching Old Tokenizers New Words" (arXiv:2512.03989) for continued
        BPE. Deviations: boundaries of the donor count against merges, as do occurrences in text to
        be kept; pieces can be restricted to scripts; no piece holds parts of two characters.
    """
    options = options or ExtensionOptions()
    lines, held_out = _split(texts)
    scripts = _scripts(options, lines)
    rule = PieceRule(scripts)
    counts = count_words(base, lines, rule)
    if not counts or not held_out:
        raise _no_text(lines, scripts)
    learned, measured = _split(keep)
    extension = learn_extension(
        base,
        donor,
        counts,
        rule,
        num_new=options.max_new or donor.size - NUM_BYTES - len(donor.special_ids),
        kept=count_words(base, learned, rule),
        min_frequency=options.min_frequency,
        cross_penalty=options.cross_penalty,
    )
    if not extension.pieces:
        raise _nothing_new(len(lines), options)
    extended = base.extended(extension.pieces, extension.merges)
    facts = measure_extension(
        base, extended, donor, rule=rule, counts=counts, held_out=held_out, kept=measured
    )
    return ExtendedTokenizer(base, extended, facts)


def _split(texts: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return lines to learn from and lines to measure on; equal lines fall on the same side."""
    lines: list[str] = []
    held_out: list[str] = []
    for text in texts:
        check_encodable(text)
        for line in text.split("\n"):
            if not line.strip():
                continue
            if zlib.crc32(line.encode()) % _HELD_OUT_EVERY == 0:
                held_out.append(line)
            else:
                lines.append(line)
    if not held_out:
        held_out = [lines.pop()] if len(lines) > 1 else []
    return lines, held_out[:_MAX_HELD_OUT]


def _scripts(options: ExtensionOptions, lines: Sequence[str]) -> tuple[str, ...]:
    if options.scripts is not None:
        return expand_scripts(options.scripts)
    counts = count_scripts(lines)
    total = max(sum(counts.values()), 1)
    own = {s: n for s, n in counts.items() if s != "Latn" and n >= _MIN_SCRIPT_SHARE * total}
    if sum(own.values()) < _MIN_OWN_SHARE * total:
        logger.info("the texts have no script of their own: pieces in any script are added")
        return ()
    logger.info("new pieces are restricted to the scripts %s", ", ".join(own))
    return tuple(own)


def _no_text(lines: Sequence[str], scripts: tuple[str, ...]) -> EmptyCorpusError:
    found = ", ".join(count_scripts(lines)) or "no letters"
    return EmptyCorpusError(
        "there is no text to learn new pieces from",
        given=f"{len(lines)} lines with {found}",
        allowed=f"at least two lines with characters of {', '.join(scripts) or 'any script'}",
        hint="name text of the new language, some megabytes at best",
    )


def _nothing_new(num_lines: int, options: ExtensionOptions) -> VocabularyError:
    return VocabularyError(
        "there is nothing new to add: no pair of the old tokenizer's tokens is frequent enough",
        given=f"{num_lines:,} lines, pairs that occur {options.min_frequency} times",
        hint="give more text; if there is plenty, the tokenizer knows the language already",
    )


def holds_model(folder: Path) -> bool:
    """Tell whether a folder has weights beside its tokenizer."""
    patterns = ("*.safetensors", "*.bin", "*.pt", "*.pth", "*.ckpt")
    return (folder / "config.json").is_file() and any(
        True for pattern in patterns for _ in folder.glob(pattern)
    )


def extend_tokenizer_folder(
    source: Path,
    donor: Path,
    texts: Sequence[Path],
    output: Path,
    *,
    keep: Sequence[Path] = (),
    options: ExtensionOptions | None = None,
) -> Artifact:
    """Write the extended tokenizer of a folder.

    Args:
        source: Folder with a byte-level `tokenizer.json`.
        donor: Folder of the new language's tokenizer.
        texts: Files or folders with text of the new language.
        output: Folder of the tokenizer artifact.
        keep: Files or folders with text of the languages that the model knows.
        options: Scripts, number of pieces and the like.

    Returns:
        The artifact.

    Raises:
        InputError: A folder or file is not what it should be, or there is nothing to add.
    """
    inputs = known_inputs(source, donor)
    check_output(output, "tokenizer", inputs)
    result = extend_from_files(source, donor, texts, keep=keep, options=options)
    recipe = recipe_of(source, donor, options)
    with write_artifact(output, "tokenizer", recipe=recipe, inputs=inputs) as draft:
        write_extended(result, source, draft.path)
        readme = describe_extension(result.facts, sample_pieces(result))
        (draft.path / "README.md").write_text(readme, encoding="utf-8")
        draft.facts.update(vocab_size=result.extended.num_ids, extension=result.facts.as_dict())
    return load_artifact(output, "tokenizer", verify=False)


def extend_from_files(
    source: Path,
    donor: Path,
    texts: Sequence[Path],
    *,
    keep: Sequence[Path] = (),
    options: ExtensionOptions | None = None,
) -> ExtendedTokenizer:
    """Extend the tokenizer of a folder; arguments and errors as `extend_tokenizer_folder`."""
    base, giver = load_base(source), load_tokenizer(donor)
    return extend_tokenizer(base, giver, read_texts(texts), keep=read_texts(keep), options=options)


def read_texts(paths: Sequence[Path], *, max_bytes: int = MAX_TEXT_BYTES) -> Iterator[str]:
    """Read texts from files as the corpus stage reads them, nothing cleaned.

    Args:
        paths: Files (.txt, .jsonl with a field `text`, .parquet; packed or not) or folders.
        max_bytes: Reading ends when this much text was read.

    Yields:
        The texts.

    Raises:
        InputError: A path is missing, or a file cannot be read.
    """
    if not paths:
        return
    source = FilesSource(paths=tuple(map(str, paths)), fields=FieldNames())
    reader = FileReader(source, _MAX_CHARACTERS)
    num_bytes = 0
    with progress("reading text", total=reader.total, unit="B") as bar:
        for batch in reader.batches(bar.advance):
            for text in batch.column("text").to_pylist():
                yield text
                num_bytes += len(text.encode())
            if num_bytes >= max_bytes:
                logger.info("the first %d MB of the texts are used", max_bytes // 1_000_000)
                return


def recipe_of(source: Path, donor: Path, options: ExtensionOptions | None) -> dict[str, object]:
    """Return what a manifest records of an extension."""
    options = options or ExtensionOptions()
    return {
        "base": source.name,
        "base_sha256": sha256_file(source / "tokenizer.json"),
        "donor": donor.name,
        "donor_sha256": sha256_file(donor / "tokenizer.json"),
        "scripts": None if options.scripts is None else list(options.scripts),
        "max_new": options.max_new,
        "min_frequency": options.min_frequency,
        "cross_penalty": options.cross_penalty,
    }


def known_inputs(*folders: Path) -> list[Artifact]:
    """Return those folders that are artifacts; somebody else's have no manifest to refer to."""
    return [load_artifact(f, verify=False) for f in folders if (f / MANIFEST_NAME).is_file()]


def write_extended(result: ExtendedTokenizer, source: Path, target: Path) -> None:
    """Write tokenizer.json, extension.json and what stands beside the old tokenizer.

    Args:
        result: The extended tokenizer.
        source: Folder of the old one; its settings and chat template are copied. vocab.json and
            merges.txt are not: they would contradict the new file.
        target: An existing folder.
    """
    for name in _COMPANIONS:
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)
    (target / "tokenizer.json").write_text(result.extended.definition, encoding="utf-8")
    facts = json.dumps(result.facts.as_dict(), indent=2, ensure_ascii=False)
    (target / "extension.json").write_text(facts + "\n", encoding="utf-8")


def sample_pieces(result: ExtendedTokenizer) -> list[str]:
    """Return the texts of the first new pieces that are whole characters, spaces cut off."""
    names = (result.extended.pieces[n] for n in range(result.base.num_ids, result.extended.num_ids))
    texts = (piece_to_bytes(name).decode("utf-8", errors="replace").strip() for name in names)
    whole = dict.fromkeys(text for text in texts if text and "\ufffd" not in text)
    return list(whole)[:_NUM_SAMPLES]
