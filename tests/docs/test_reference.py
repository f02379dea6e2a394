"""The reference pages are whole, and the site builds without a warning."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import BaseModel, Field

from hunmin.cli.main import VERBS, cli
from hunmin.core.errors import HunminError
from hunmin.core.spec import Spec
from hunmin.pipeline.recipe import Recipe

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def generators() -> Iterator[dict[str, ModuleType]]:
    """The modules that write reference pages."""
    sys.path.insert(0, str(REPOSITORY / "docs"))
    names = ("recipes", "commands", "errors", "modules")
    yield {name: importlib.import_module(f"generators.{name}") for name in names}
    sys.path.remove(str(REPOSITORY / "docs"))


def spec_classes(root: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield root
    for inner in root.__subclasses__():
        yield from spec_classes(inner)


def test_every_spec_and_every_key_says_what_it_means() -> None:
    for path in (REPOSITORY / "src" / "hunmin").rglob("*spec.py"):
        parts = path.relative_to(REPOSITORY / "src").with_suffix("").parts
        importlib.import_module(".".join(parts))
    silent = [
        f"{spec.__module__}.{spec.__name__}.{name}"
        for spec in spec_classes(Spec)
        if spec.__module__.startswith("hunmin.")
        for name, field in spec.model_fields.items()
        if not (field.description or "").strip()
    ]
    assert not silent


def test_recipe_page_has_every_key(generators: dict[str, ModuleType]) -> None:
    page = generators["recipes"].page(Recipe)
    for name in Recipe.model_fields:
        assert f"| `{name}` |" in page
    for key in ("vocab_size", "batch_tokens", "validation_fraction", "temperature"):
        assert f"| `{key}` |" in page
    linked = set(re.findall(r"\]\(#([^)]+)\)", page))
    assert linked <= set(re.findall(r"\{ #(\S+) \}", page))


class _Inner(Spec):
    """A block."""

    rate: float = Field(0.5, gt=0, le=1)
    """How fast."""


class _Outer(Spec):
    """The recipe."""

    inner: _Inner = _Inner(rate=0.25)
    """The block."""
    names: tuple[str, ...] = ()
    """Names such as `<|pad|>`; a|b."""
    count: int
    """How many."""


def test_recipe_page_shows_types_limits_and_defaults(generators: dict[str, ModuleType]) -> None:
    page = generators["recipes"].page(_Outer)
    assert "| `count` | whole number | *required* | How many. |" in page
    assert "| `rate` | number (> 0, ≤ 1) | `0.25` | How fast. |" in page, "default of the place"
    assert "| `names` | list of text | `[]` | Names such as `<|pad|>`; a\\|b. |" in page


def test_error_page_has_every_error(generators: dict[str, ModuleType]) -> None:
    page = generators["errors"].page()
    own = [
        error
        for error in generators["errors"].all_errors(HunminError)
        if error.__module__.startswith("hunmin.")
    ]
    assert len(own) > 10
    for error in own:
        assert f"| `{error.__name__}` |" in page
        assert error.__module__.endswith(".errors"), "errors live in modules named errors"
        assert (error.__doc__ or "").strip(), error


def test_errors_are_also_the_python_errors_that_fit(generators: dict[str, ModuleType]) -> None:
    generators["errors"].import_error_modules()
    for error in generators["errors"].all_errors(HunminError):
        builtin = [b for b in error.__mro__ if b.__module__ == "builtins" and b is not object]
        assert error is HunminError or builtin[0] is not Exception, error


def test_command_page_has_every_verb(generators: dict[str, ModuleType]) -> None:
    page = generators["commands"].page(cli)
    for verb in VERBS:
        assert f"\n## hunmin {verb}\n" in page


def test_every_layer_has_a_page(generators: dict[str, ModuleType]) -> None:
    source = REPOSITORY / "src" / "hunmin"
    layers = {path.parent.name for path in source.glob("*/__init__.py")} - {"cli"}
    assert {page.title for page in generators["modules"].pages()} == layers


def test_site_builds_without_warnings_and_refers_to_nothing_outside(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    quiet = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    result = subprocess.run(
        command, cwd=REPOSITORY, env=quiet, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "WARNING" not in result.stderr
    assert "ERROR" not in result.stderr
    outside = re.compile(r'(?:src|srcset)="https?://|<link[^>]+href="https?://')
    for page in tmp_path.rglob("*.html"):
        assert not outside.search(page.read_text(encoding="utf-8")), page
    assert not list(tmp_path.rglob("*.py"))


def test_terminal_picture_keeps_the_last_state_of_a_line_and_needs_no_server(
    tmp_path: Path,
) -> None:
    log = tmp_path / "log"
    log.write_bytes("한국어\r\n\x1b[32mstep 1\rstep 2\x1b[0m\n".encode())
    picture = tmp_path / "picture.svg"
    script = REPOSITORY / "docs" / "pictures" / "terminal.py"
    subprocess.run([sys.executable, script, log, picture, "--command", "hunmin"], check=True)
    text = picture.read_text(encoding="utf-8")
    assert "한국어" in text
    assert "step&#160;2" in text
    assert "step&#160;1" not in text
    assert "font-face" not in text


def test_pictures_in_the_documentation_are_those_that_the_scripts_draw(tmp_path: Path) -> None:
    script: Any = importlib.util.spec_from_file_location(
        "data_flow", REPOSITORY / "docs" / "pictures" / "data_flow.py"
    )
    module = importlib.util.module_from_spec(script)
    script.loader.exec_module(module)
    committed = module.OUTPUT.read_text(encoding="utf-8")
    module.OUTPUT = tmp_path / "picture.svg"
    module.main()
    assert module.OUTPUT.read_text(encoding="utf-8") == committed
