"""A GGUF file holds the same vocabulary, and is refused where llama.cpp could not use it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import pytest
from click.testing import CliRunner

from hunmin.cli.tokenizer_export import command
from hunmin.core.artifact import Artifact
from hunmin.core.errors import InputError, MissingExtraError
from hunmin.core.extras import install_command
from hunmin.tokenizer.gguf import export_gguf, why_not_gguf
from hunmin.tokenizer.load import TextTokenizer
from hunmin.tokenizer.pieces import read_merges


def test_everything_is_read_back(
    tokenizer_artifact: Artifact, tokenizer: TextTokenizer, tmp_path: Path
) -> None:
    file = tmp_path / "new" / "tokenizer.gguf"
    result = CliRunner().invoke(command, [str(tokenizer_artifact.path), "-o", str(file)])
    assert (result.exit_code, result.stdout) == (0, f"{file}\n")
    fields = {name: field.contents() for name, field in gguf.GGUFReader(file).fields.items()}
    vocabulary = tokenizer.parsed["model"]["vocab"]
    assert fields["tokenizer.ggml.model"] == "gpt2"
    assert fields["tokenizer.ggml.pre"] == "gpt-2"
    assert fields["tokenizer.ggml.tokens"] == sorted(vocabulary, key=vocabulary.get)
    merges = read_merges(tokenizer.parsed["model"])
    assert fields["tokenizer.ggml.merges"] == [" ".join(pair) for pair in merges]
    control, normal = int(gguf.TokenType.CONTROL), int(gguf.TokenType.NORMAL)
    assert fields["tokenizer.ggml.token_type"] == [control] * 4 + [normal] * 596
    assert fields["tokenizer.ggml.bos_token_id"] == tokenizer.boundary_id
    assert fields["tokenizer.ggml.eos_token_id"] == tokenizer.boundary_id
    assert fields["tokenizer.ggml.padding_token_id"] == tokenizer.pad_id
    assert fields["tokenizer.ggml.add_bos_token"] is False
    assert fields["gpt2.vocab_size"] == tokenizer.size
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_ids_without_entry_are_unused(tokenizer: TextTokenizer, tmp_path: Path) -> None:
    definition = json.loads(tokenizer.definition)
    definition["added_tokens"].append(
        definition["added_tokens"][0] | {"id": 602, "content": "<tool>", "special": False}
    )
    definition["model"]["vocab"]["<tool>"] = 602
    export_gguf(TextTokenizer(json.dumps(definition)), tmp_path / "tokenizer.gguf")
    fields = gguf.GGUFReader(tmp_path / "tokenizer.gguf").fields
    assert fields["tokenizer.ggml.tokens"].contents()[600:] == [
        "[UNUSED600]",
        "[UNUSED601]",
        "<tool>",
    ]
    types = fields["tokenizer.ggml.token_type"].contents()[600:]
    assert types == [gguf.TokenType.UNUSED, gguf.TokenType.UNUSED, gguf.TokenType.USER_DEFINED]


def other_split(definition: dict[str, Any]) -> None:
    definition["pre_tokenizer"]["use_regex"] = False


def normalize(definition: dict[str, Any]) -> None:
    definition["normalizer"] = {"type": "NFC"}


def characters(definition: dict[str, Any]) -> None:
    definition["decoder"] = {"type": "Fuse"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (other_split, "not the stock one of GPT-2"),
        (normalize, "it normalizes text"),
        (characters, "it is no byte-level BPE"),
    ],
)
def test_what_llama_cpp_cannot_run_is_refused(
    tokenizer: TextTokenizer, change: Callable[[dict[str, Any]], None], reason: str, tmp_path: Path
) -> None:
    definition = json.loads(tokenizer.definition)
    change(definition)
    with pytest.raises(InputError, match=f"llama.cpp cannot run.*{reason}"):
        export_gguf(TextTokenizer(json.dumps(definition)), tmp_path / "tokenizer.gguf")
    assert not list(tmp_path.iterdir())


def test_a_tokenizer_with_an_analyser_is_refused(tokenizer: TextTokenizer) -> None:
    class Halves:
        identity = "halves"

        def cut(self, texts: list[str]) -> list[list[str]]:
            return [[text[: len(text) // 2], text[len(text) // 2 :]] for text in texts]

    cutting = TextTokenizer(tokenizer.definition, cutter=Halves())
    assert why_not_gguf(cutting) == "it needs an analyser in use"


def test_without_gguf(
    tokenizer: TextTokenizer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(MissingExtraError) as caught:
        export_gguf(tokenizer, tmp_path / "tokenizer.gguf")
    assert install_command("gguf") in str(caught.value)
