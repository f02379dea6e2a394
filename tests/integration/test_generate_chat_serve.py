"""The verbs generate, chat and serve on a model folder."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from tests.support.tiny_models import save_folder, tiny_gpt2

from hunmin.cli.main import run_cli
from hunmin.core.artifact import write_artifact
from hunmin.serving.server import listen

SECONDS = 60


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "tiny"
    with write_artifact(run / "model", "model") as draft:
        save_folder(tiny_gpt2(448, context=512), draft.path)
    return run


class Terminal:
    """Runs the command line in this process with a piped stdin."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys = capsys
        self._monkeypatch = monkeypatch
        self.exit_code = 0
        self.talk = ""

    def __call__(self, *words: object, stdin: bytes = b"") -> str:
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        self.exit_code = run_cli([str(word) for word in words])
        out, self.talk = self._capsys.readouterr()
        return out


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Terminal:
    return Terminal(capsys, monkeypatch)


def json_lines(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.removesuffix("\n").split("\n")]


SAMPLING = ("--temperature", "1", "--max-tokens", "12", "--seed", "4")


def test_one_text_several_texts_and_json_agree(terminal: Terminal, run_folder: Path) -> None:
    one = terminal("generate", run_folder, "--prompt", "자유", *SAMPLING)
    assert terminal.exit_code == 0, terminal.talk
    two = terminal("generate", run_folder, "--prompt", "자유", "--num", "2", *SAMPLING)
    lines = terminal("generate", run_folder / "model", "--prompt", "자유", "--num", "2",
                     "--json", *SAMPLING)  # fmt: skip
    records = json_lines(lines)
    texts = [record["prompt"] + record["text"] for record in records]
    assert one == texts[0] + "\n"
    assert two == texts[0] + "\n---\n" + texts[1] + "\n"
    assert [record["sample"] for record in records] == [0, 1]
    assert all(record["num_tokens"] <= 12 for record in records)
    assert {record["finish_reason"] for record in records} <= {"stop", "length"}


def test_prompts_come_from_flags_stdin_or_nowhere(terminal: Terminal, run_folder: Path) -> None:
    stdin = "자유\n\u2028b\r\n".encode()
    lines = terminal("generate", run_folder, "--prompt", "a", "--prompt", "-", "--json",
                     *SAMPLING, stdin=stdin)  # fmt: skip
    assert [record["prompt"] for record in json_lines(lines)] == ["a", "자유", "\u2028b"]
    assert terminal("generate", run_folder, *SAMPLING).endswith("\n")
    assert terminal.exit_code == 0


def test_stop_strings_and_the_other_flags_reach_the_engine(
    terminal: Terminal, run_folder: Path
) -> None:
    flags = ("--top-k", "40", "--top-p", "0.95", "--repetition-penalty", "1.1", *SAMPLING)
    whole = terminal("generate", run_folder, "--prompt", "자유", *flags).removeprefix("자유")
    stop = whole[3:5]
    stopped = terminal("generate", run_folder, "--prompt", "자유", "--stop", stop, *flags)
    assert stopped == "자유" + whole[: whole.index(stop)] + "\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--temperature", "-1"), "Invalid value for '--temperature'"),
        (("--max-tokens", "0"), "Invalid value for '--max-tokens'"),
        (("--top-p", "0"), "Invalid value for '--top-p'"),
        (("--num", "0"), "Invalid value for '--num'"),
        (("--stop", ""), "an empty stop string would end every text at once"),
        (("--prompt", "-"), "stdin has no line"),
        (("--prompt", "자유" * 2000), "longer than the model's context"),
    ],
)
def test_what_cannot_be_generated_is_the_users_input(
    terminal: Terminal, run_folder: Path, words: tuple[str, ...], message: str
) -> None:
    assert terminal("generate", run_folder, *words) == ""
    assert terminal.exit_code == 2
    assert message in terminal.talk


def test_stdin_that_is_no_text_is_refused(terminal: Terminal, run_folder: Path) -> None:
    terminal("generate", run_folder, "--prompt", "-", stdin=b"\xff\xfe\n")
    assert terminal.exit_code == 2
    assert "lone surrogate" in terminal.talk


@pytest.mark.parametrize("verb", ["generate", "chat", "serve"])
def test_a_folder_without_a_model_is_named(terminal: Terminal, verb: str, tmp_path: Path) -> None:
    terminal(verb, tmp_path)
    assert terminal.exit_code == 2
    assert "there is no model here" in terminal.talk
    assert "an empty folder" in terminal.talk


def test_a_conversation_over_a_pipe(terminal: Terminal, run_folder: Path) -> None:
    stdin = "Turn on\n\n/set temperature 0.5\n/set\n/reset\nTurn on\n/quit\nnever read\n"
    flags = ("--temperature", "0", "--max-tokens", "6", "--stop", "zzz")
    out = terminal("chat", run_folder, *flags, stdin=stdin.encode())
    assert terminal.exit_code == 0, terminal.talk
    assert len(out.split("\n")) >= 4
    for told in (
        "/help lists the commands",
        "temperature is 0.5",
        "max_tokens=6",
        "a new beginning",
    ):
        assert told in terminal.talk
    assert "never" not in out


def test_a_conversation_repeats_with_temperature_zero(terminal: Terminal, run_folder: Path) -> None:
    flags = ("--temperature", "0", "--max-tokens", "6")
    once = terminal("chat", run_folder, *flags, stdin=b"Turn on\n")
    again = terminal("chat", run_folder, *flags, stdin=b"Turn on\n/reset\nTurn on\n")
    assert again == once * 2


def test_mistakes_in_a_conversation_do_not_end_it(terminal: Terminal, run_folder: Path) -> None:
    stdin = b"/rest\n/set temper 1\n/set temperature hot\n/help\nTurn on\n"
    out = terminal("chat", run_folder, "--max-tokens", "2", stdin=stdin)
    assert terminal.exit_code == 0
    assert "no such command: /rest. Did you mean '/reset'?" in terminal.talk
    assert "Did you mean 'temperature'?" in terminal.talk
    assert "temperature: Input should be a valid number" in terminal.talk
    assert "/set NAME VALUE        change a setting" in terminal.talk
    assert out.endswith("\n")


def test_a_long_conversation_says_what_it_forgets(terminal: Terminal, run_folder: Path) -> None:
    stdin = ("동등하다 " * 400 + "\n").encode()
    terminal("chat", run_folder, "--max-tokens", "2", stdin=stdin)
    assert terminal.exit_code == 0
    assert "no longer fits the model's context" in terminal.talk


def test_serving_other_machines_needs_a_key(
    terminal: Terminal, run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HUNMIN_API_KEY", raising=False)
    terminal("serve", run_folder, "--host", "0.0.0.0", "--port", "0")
    assert terminal.exit_code == 2
    assert "no key protects it" in terminal.talk


def test_a_busy_port_is_one_error(terminal: Terminal, run_folder: Path) -> None:
    with listen("127.0.0.1", 0) as taken:
        terminal("serve", run_folder, "--port", taken.getsockname()[1])
    assert terminal.exit_code == 2
    assert terminal.talk.startswith("error: 127.0.0.1:")
    assert "Address already in use" in terminal.talk


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_serve_tells_its_address_answers_and_stops_cleanly(
    run_folder: Path, stop: signal.Signals
) -> None:
    command = [sys.executable, "-c", "from hunmin.cli.main import main; main()"]
    with subprocess.Popen(
        [*command, "serve", str(run_folder), "--port", "0"],
        env={**os.environ, "HUNMIN_API_KEY": "k"},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        # However it goes wrong, reading its talk ends.
        watchdog = threading.Timer(SECONDS, process.kill)
        watchdog.start()
        talk = iter(process.stderr or ())
        line = next(line for line in talk if line.startswith("serving tiny at http://127.0.0.1:"))
        assert "curl http://127.0.0.1:" in next(talk)
        url = line.split()[3] + "/models"
        request = urllib.request.Request(url, headers={"authorization": "Bearer k"})
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            assert json.load(answer)["data"][0]["id"] == "tiny"
        process.send_signal(stop)
        assert list(talk) == ["stopped\n"]
        assert process.wait(SECONDS) == 0
        watchdog.cancel()
