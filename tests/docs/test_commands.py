"""Every command that README and quickstart show is run, with a smaller model."""

from __future__ import annotations

import json
import re
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

DOCUMENTS = ("README.md", "docs/quickstart.md")
SMALL_MODEL = (
    "tokenizer.vocab_size=512 data.context=64 model.size=1M train.duration='4 steps' "
    "train.batch_tokens=1024 train.microbatch_tokens=1024 train.evaluate_every=2 "
    "train.evaluation_tokens=1024 evaluate.max_documents_per_language=4 "
    "generate.num_samples=1 generate.sampling.max_tokens=8"
)
SMALL_SENTENCES = (
    "corpus.sources.0.languages=[ko,en,de,ja,sw] corpus.sources.0.max_utterances_per_language=60"
)
SMALL_ASSISTANT = (
    "corpus.sources.0.languages=[ko,en,de] corpus.sources.0.max_utterances_per_language=150 "
    "tokenizer.vocab_size=700 data.context=32 model.size=1M "
    "student.model='{preset: hunmin-encoder, layers: 1, width: 64}' "
    + " ".join(
        f"{section}.{setting}"
        for section in ("train", "student.train")
        for setting in (
            "duration='3 steps'",
            "batch_tokens=512",
            "microbatch_tokens=512",
            "evaluation_tokens=512",
        )
    )
    + " nlu.epochs=1 export.max_drop=100"
)
SMALL_VOCABULARY = "tokenizer.vocab_size=320"
# What is changed so that a command is small, or has the input it asks for.
CHANGES = {
    "./scripts/quickstart": f"./scripts/quickstart {SMALL_SENTENCES} {SMALL_MODEL}",
    "./scripts/quickstart assistant": f"./scripts/quickstart assistant {SMALL_ASSISTANT}",
    "./scripts/quickstart PATH": f"./scripts/quickstart texts {SMALL_MODEL} {SMALL_VOCABULARY}",
    ".venv/bin/hunmin chat runs/quickstart": (
        "printf '거실 불 켜\\n' | .venv/bin/hunmin chat runs/quickstart"
    ),
}
NOT_RUN = {"./scripts/test": "this test is a part of it"}
SERVER = ".venv/bin/hunmin serve runs/quickstart"


def commands_in(text: str) -> list[str]:
    """Return the lines of all bash blocks."""
    blocks = re.findall(r"^```bash\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line]


@pytest.fixture(scope="module")
def workspace_with_text(workspace: Path) -> Path:
    """Some text of the user's own, in two encodings."""
    texts = workspace / "texts"
    texts.mkdir()
    korean = "\n\n".join(
        f"{room} 불을 {verb} 주세요. 지금 {room}에 있어요." for room, verb in _pairs()
    )
    (texts / "korean.txt").write_text(korean, encoding="cp949")
    lines = [
        json.dumps({"text": f"Please {verb} the {room} now, {number}."}, ensure_ascii=False)
        for number, (room, verb) in enumerate(_pairs())
    ]
    (texts / "english.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return workspace


def _pairs() -> Iterator[tuple[str, str]]:
    for number in range(20):
        for room in ("거실", "침실", "부엌", "서재", "현관"):
            for verb in ("켜", "꺼", "밝게 해", "어둡게 해"):
                yield f"{room} {number}번", verb


def run_command(command: str, folder: Path, environment: dict[str, str]) -> None:
    result = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=300,
        check=False,
    )
    output = f"$ {command}\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}"
    assert result.returncode == 0, output
    assert "Traceback" not in result.stderr, output


def run_server(command: str, folder: Path, environment: dict[str, str]) -> None:
    """Start the server on a free port, ask which models it has, and stop it."""
    with subprocess.Popen(
        ["bash", "-c", f"exec {command} --port 0"],
        cwd=folder,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        give_up = threading.Timer(120, server.kill)
        give_up.start()
        try:
            with urllib.request.urlopen(f"{_address(server)}/models", timeout=30) as reply:
                models = json.load(reply)["data"]
        finally:
            give_up.cancel()
            server.terminate()
        assert server.wait(timeout=30) in (0, -15)
    assert [model["id"] for model in models] == ["quickstart"]


def _address(server: subprocess.Popen[str]) -> str:
    """Return the address in the server's greeting."""
    assert server.stderr is not None
    lines = []
    for line in server.stderr:
        lines.append(line)
        found = re.search(r"serving .* at (http://\S+/v1)", line)
        if found:
            return found[1]
    pytest.fail("".join(lines))


@pytest.fixture(scope="module")
def documented(repository: Path) -> list[str]:
    """Every command of the documents once, in the order a reader meets them."""
    texts = [(repository / document).read_text(encoding="utf-8") for document in DOCUMENTS]
    assert all(commands_in(text) for text in texts)
    return list(dict.fromkeys(command for text in texts for command in commands_in(text)))


@pytest.mark.slow
def test_every_command_runs(
    documented: list[str], workspace_with_text: Path, documented_environment: dict[str, str]
) -> None:
    for command in documented:
        if command == SERVER:
            run_server(command, workspace_with_text, documented_environment)
        elif command not in NOT_RUN:
            small = CHANGES.get(command, command)
            run_command(small, workspace_with_text, documented_environment)


def test_every_change_belongs_to_a_documented_command(documented: list[str]) -> None:
    assert {*CHANGES, *NOT_RUN, SERVER} <= set(documented)
