"""MkDocs hook: writes the reference pages from the code itself at every build.

A page of reference/ that is not a file here comes from a generator: keys of a recipe from the
Spec classes, commands from click, errors from the error tree, filters from their thresholds, the
Python API from the modules.
"""

from __future__ import annotations

import importlib
from typing import Any

from generators import commands, errors, filters, modules, recipes
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put a page for each layer where mkdocs.yml says `Python API: []`."""
    for section in config.nav or []:
        for entry in section.get("Reference") or []:
            if "Python API" in entry:
                entry["Python API"] = [{page.title: page.path} for page in modules.pages()]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    recipe = importlib.import_module("hunmin.pipeline.recipe").Recipe
    cli: Any = importlib.import_module("hunmin.cli.main").cli
    pages = {
        "reference/recipe.md": recipes.page(recipe),
        "reference/commands.md": commands.page(cli),
        "reference/errors.md": errors.page(),
        "reference/filters.md": filters.page(),
        **{page.path: page.text for page in modules.pages()},
    }
    for path, content in pages.items():
        files.append(File.generated(config, path, content=content))
    return files
