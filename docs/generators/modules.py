"""One page a layer with its modules; mkdocstrings fills in signatures and docstrings."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2] / "src" / "hunmin"
# From the bottom of the house to its roof; layers that have no folder yet have no page.
LAYERS = (
    *("core", "text", "corpus", "tokenizer", "data", "models", "parallel", "planner", "training"),
    *("adapt", "evaluation", "learning", "serving", "studio", "assistant", "pipeline"),
)


@dataclass(frozen=True)
class Page:
    """A generated page."""

    title: str
    path: str
    text: str


def pages() -> list[Page]:
    """Return the pages of the layers that exist, from the bottom up."""
    found = []
    for layer in LAYERS:
        modules = public_modules(layer)
        if modules:
            directives = "\n".join(f"::: {module}\n" for module in modules)
            text = f"# hunmin.{layer}\n\n{_summary(layer)}\n\n{directives}"
            found.append(Page(layer, f"reference/python/{layer}.md", text))
    return found


def public_modules(layer: str) -> list[str]:
    """Return the dotted names of a layer's modules that have something public."""
    names: list[str] = []
    if not (SOURCE / layer / "__init__.py").is_file():
        return names
    for path in sorted((SOURCE / layer).rglob("*.py")):
        private = any(part.startswith("_") for part in path.relative_to(SOURCE).parts)
        if not private and _defines_something(path):
            names.append(".".join(("hunmin", *path.relative_to(SOURCE).with_suffix("").parts)))
    return names


def _defines_something(path: Path) -> bool:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    definitions = (ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)
    return any(isinstance(node, definitions) for node in tree.body)


def _summary(layer: str) -> str:
    package = SOURCE / layer / "__init__.py"
    return ast.get_docstring(ast.parse(package.read_text(encoding="utf-8"))) or ""
