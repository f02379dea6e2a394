"""How a `tokenizer.json` writes bytes down: which bytes each vocabulary entry stands for.

Two spellings are understood. Byte-level entries (GPT-2, Llama 3, Qwen) have a printable character
for each byte: `Ġthe`. Entries of characters (Llama 2, Mistral, Gemma, XLM-R) are text, often with
`▁` for the space; bytes of rare characters are entries of their own: `<0xEA>`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hunmin.core.errors import ArtifactKindError
from hunmin.tokenizer.alphabet import NUM_BYTES, piece_to_bytes

MODELS = ("BPE", "Unigram")
BYTE_ENTRIES = tuple(f"<0x{byte:02X}>" for byte in range(NUM_BYTES))
_BYTE_ENTRY = re.compile("<0x([0-9A-F]{2})>")
_STRIP_ONE_SPACE = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
# What beside vocabulary and merges decides the ids.
_MODEL_OPTIONS = ("byte_fallback", "ignore_merges", "unk_token", "unk_id")

Definition = Mapping[str, Any]


@dataclass(frozen=True)
class Spelling:
    """How entries stand for bytes.

    Args:
        byte_level: Each character of an entry is a byte, by the table of GPT-2.
        byte_entries: Entries such as `<0xEA>` are bytes.
        replacements: What decoding replaces in an entry, such as `▁` by a space.
        adds_space: Encoding puts a space before a text, which decoding takes away again.
    """

    byte_level: bool
    byte_entries: bool = False
    replacements: tuple[tuple[str, str], ...] = ()
    adds_space: bool = False

    def to_bytes(self, piece: str) -> bytes:
        """Return the bytes of an entry that is no special token."""
        if self.byte_level:
            return _byte_level(piece)
        if self.byte_entries and (match := _BYTE_ENTRY.fullmatch(piece)):
            return bytes.fromhex(match[1])
        for old, new in self.replacements:
            piece = piece.replace(old, new)
        return piece.encode()


def _byte_level(piece: str) -> bytes:
    try:
        return piece_to_bytes(piece)
    except KeyError:
        # Not in the table: the library's decoder takes such an entry as text.
        return piece.encode()


def read_spelling(definition: Definition) -> Spelling:
    """Find out how a tokenizer's entries stand for bytes.

    Args:
        definition: Parsed content of `tokenizer.json`.

    Returns:
        The spelling; joining the bytes of ids gives what the tokenizer decodes them to, but for
        a space at the start if `adds_space`.

    Raises:
        ArtifactKindError: Its decoding is no joining of bytes, as with WordPiece.
    """
    model, steps = definition["model"], list(_decoder_steps(definition.get("decoder")))
    types = [step["type"] for step in steps]
    if not _joins_bytes(model, steps):
        raise ArtifactKindError(
            "the entries of this tokenizer do not stand for bytes",
            given=f"model {model.get('type')}, decoder {' + '.join(types) or 'none'}",
            allowed="BPE or Unigram that decodes by ByteLevel (GPT-2, Llama 3, Qwen) or by "
            "Metaspace or ByteFallback (Llama 2, Mistral, Gemma, XLM-R)",
        )
    if types == ["ByteLevel"]:
        return Spelling(byte_level=True)
    return Spelling(
        byte_level=False,
        byte_entries="ByteFallback" in types,
        replacements=tuple(_replacements(steps)),
        adds_space=_STRIP_ONE_SPACE in steps or any(map(_is_metaspace_with_prefix, steps)),
    )


def _decoder_steps(decoder: Definition | None) -> Iterator[Definition]:
    if decoder is None:
        return
    if decoder["type"] == "Sequence":
        for step in decoder["decoders"]:
            yield from _decoder_steps(step)
    else:
        yield decoder


def _joins_bytes(model: Definition, steps: list[Definition]) -> bool:
    marks_parts = model.get("continuing_subword_prefix") or model.get("end_of_word_suffix")
    if model.get("type") not in MODELS or marks_parts or not steps:
        return False
    return [step["type"] for step in steps] == ["ByteLevel"] or all(map(_is_plain_step, steps))


def _is_plain_step(step: Definition) -> bool:
    if step["type"] == "Replace":
        return "String" in step["pattern"]
    return step["type"] in ("ByteFallback", "Fuse", "Metaspace") or step == _STRIP_ONE_SPACE


def _replacements(steps: list[Definition]) -> Iterator[tuple[str, str]]:
    for step in steps:
        if step["type"] == "Replace":
            yield step["pattern"]["String"], step["content"]
        elif step["type"] == "Metaspace":
            yield step["replacement"], " "


def _is_metaspace_with_prefix(step: Definition) -> bool:
    if step["type"] != "Metaspace":
        return False
    # Files of before 2024 say it by a Boolean.
    before = "always" if step.get("add_prefix_space", True) else "never"
    return bool(step.get("prepend_scheme", before) != "never")


def is_byte_level_bpe(definition: Definition) -> bool:
    """Tell whether entries are bytes merged pair by pair, as in GPT-2."""
    steps = list(_decoder_steps(definition.get("decoder")))
    is_bpe = definition["model"].get("type") == "BPE"
    return is_bpe and [step["type"] for step in steps] == ["ByteLevel"]


def identifying_parts(definition: Definition) -> list[Any]:
    """Return the parts of a tokenizer that decide its ids, however its file is laid out.

    Args:
        definition: Parsed content of `tokenizer.json`.

    Returns:
        JSON values to hash.
    """
    model = definition["model"]
    added = sorted([token["id"], token["content"]] for token in definition["added_tokens"])
    parts = [_vocabulary(model), read_merges(model), added]
    parts += [definition.get("normalizer"), definition.get("pre_tokenizer")]
    options = {name: model[name] for name in _MODEL_OPTIONS if model.get(name)}
    return [*parts, options] if options else parts


def _vocabulary(model: Definition) -> Any:
    if isinstance(model["vocab"], Mapping):
        return model["vocab"]
    # The library may read a score one unit in the last place off.
    return [[piece, round(score, 6)] for piece, score in model["vocab"]]


def read_merges(model: Definition) -> list[list[str]]:
    """Return the merges of the `model` part of a definition, best first; none for Unigram."""
    # Older files join the two by a space.
    return [
        pair.split(" ") if isinstance(pair, str) else list(pair) for pair in model.get("merges", [])
    ]
