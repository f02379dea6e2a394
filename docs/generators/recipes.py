"""The page of all recipe keys, from the JSON Schema that pydantic derives from the Spec classes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]

HEADER = """# Recipe reference

Every key that a recipe can have, its type, its default and what it means. This page is made from
the classes that check recipes, so it cannot be out of date.

A block that has a `kind` comes in variants; each variant has its own table below. A default of
*required* means that the recipe has to say it. `hunmin run RECIPE --dry-run` shows the values that
a recipe ends up with and where each of them was written.
"""

CONSTRAINTS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
    "minLength": "at least {} characters",
    "minItems": "at least {} items",
    "pattern": "matches `{}`",
}


@dataclass(frozen=True)
class Block:
    """A block of the recipe: where it stands and what may stand in it."""

    path: str
    kind: str | None
    schema: Schema
    # Values that the block above sets for this place where they differ from the class's own.
    defaults: Schema = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Heading of the block."""
        name = self.path or "The whole recipe"
        return f"{name}, kind: {self.kind}" if self.kind else name

    @property
    def anchor(self) -> str:
        """Target of links to the block."""
        return f"{self.path or 'recipe'}{f'-{self.kind}' if self.kind else ''}".replace("[]", "")


def page(recipe: type[BaseModel]) -> str:
    """Return the page for a recipe class as Markdown."""
    schema = recipe.model_json_schema()
    definitions = schema.get("$defs", {})
    blocks = list(blocks_of(schema, definitions))
    return HEADER + "".join(_render(block, definitions) for block in blocks)


def blocks_of(root: Schema, definitions: Schema) -> Iterator[Block]:
    """Yield the recipe's blocks, depth first, each place once."""
    waiting = [Block("", None, root)]
    while waiting:
        block = waiting.pop(0)
        yield block
        inner = []
        for name, value in block.schema.get("properties", {}).items():
            path = f"{block.path}.{name}" if block.path else name
            inner += _inner_blocks(path, value, definitions, _default(block, name))
        waiting = inner + waiting


def _inner_blocks(path: str, value: Schema, definitions: Schema, default: Any) -> list[Block]:
    if "$ref" in value:
        target = definitions[_name(value["$ref"])]
        if "properties" not in target:
            return []
        kind = _kind(target)
        fits = isinstance(default, dict) and default.get("kind", kind) == kind
        return [Block(path, kind, target, default if fits else {})]
    blocks = []
    for option in (*value.get("anyOf", ()), *value.get("oneOf", ())):
        blocks += _inner_blocks(path, option, definitions, default)
    if "items" in value:
        blocks += _inner_blocks(f"{path}[]", value["items"], definitions, None)
    if isinstance(value.get("additionalProperties"), dict):
        blocks += _inner_blocks(f"{path}.NAME", value["additionalProperties"], definitions, None)
    return blocks


def _default(block: Block, name: str) -> Any:
    return block.defaults.get(name, block.schema["properties"][name].get("default"))


def _kind(schema: Schema) -> str | None:
    kind = schema.get("properties", {}).get("kind", {})
    options = [kind["const"]] if "const" in kind else kind.get("enum", [])
    return " or ".join(map(str, options)) or None


def _render(block: Block, definitions: Schema) -> str:
    level = "##" if "." not in block.path and "[]" not in block.path else "###"
    description = block.schema.get("description", "").strip()
    lines = [f"\n{level} {block.title} {{ #{block.anchor.replace(' ', '-')} }}\n", description, ""]
    lines += ["| key | type | default | meaning |", "|---|---|---|---|"]
    required = block.schema.get("required", ())
    for name, value in block.schema.get("properties", {}).items():
        cells = (
            f"`{name}`",
            _type(block, name, definitions),
            "*required*" if name in required else _shown(_default(block, name)),
            value.get("description", "").replace("\n", " "),
        )
        lines.append("| " + " | ".join(map(_escape, cells)) + " |")
    return "\n".join(lines) + "\n"


def _type(block: Block, name: str, definitions: Schema) -> str:
    path = f"{block.path}.{name}" if block.path else name
    value = block.schema["properties"][name]
    inner = _inner_blocks(path, value, definitions, None)
    if inner:
        links = " or ".join(
            f"[{target.kind or 'block'}](#{target.anchor.replace(' ', '-')})" for target in inner
        )
        return ("list of " if inner[0].path.endswith("[]") else "") + links + _or_null(value)
    return _plain_type(value, definitions) + _limits(value)


def _escape(cell: str) -> str:
    """Keep bars from ending a cell and <name> from being a tag; code needs no escapes."""
    parts = cell.split("`")
    parts[::2] = [part.replace("|", "\\|").replace("<", "&lt;") for part in parts[::2]]
    return "`".join(parts)


def _or_null(value: Schema) -> str:
    return " or null" if {"type": "null"} in value.get("anyOf", ()) else ""


def _plain_type(value: Schema, definitions: Schema) -> str:
    if "$ref" in value:
        return _plain_type(definitions[_name(value["$ref"])], definitions)
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        return ", ".join(f"`{option}`" for option in value["enum"])
    options = value.get("anyOf") or value.get("oneOf")
    if options:
        return " or ".join(_plain_type(option, definitions) + _limits(option) for option in options)
    if value.get("type") == "array":
        return _array_type(value, definitions)
    if value.get("type") == "object" and isinstance(value.get("additionalProperties"), dict):
        return f"name: {_plain_type(value['additionalProperties'], definitions)}"
    names = {"string": "text", "integer": "whole number", "object": "mapping", "boolean": "yes/no"}
    if value.get("format") == "path":
        return "path"
    kind = str(value.get("type", "any"))
    return names.get(kind, kind)


def _array_type(value: Schema, definitions: Schema) -> str:
    if "prefixItems" in value:
        items = [_plain_type(item, definitions) for item in value["prefixItems"]]
        return f"list of {len(items)}: {', '.join(items)}"
    return f"list of {_plain_type(value.get('items', {}), definitions)}"


def _limits(value: Schema) -> str:
    if "prefixItems" in value:
        return ""
    limits = [
        "not empty"
        if key in ("minLength", "minItems") and value[key] == 1
        else text.format(value[key])
        for key, text in CONSTRAINTS.items()
        if key in value and not _is_machine_limit(value[key])
    ]
    return f" ({', '.join(limits)})" if limits else ""


def _is_machine_limit(limit: object) -> bool:
    """Tell whether a limit is one of 64-bit numbers, which nobody meets."""
    return isinstance(limit, int | float) and abs(limit) >= 2**53


def _shown(default: Any) -> str:
    if default == "":
        return "empty"
    if isinstance(default, dict) and default:
        return f"`kind: {default['kind']}`" if "kind" in default else "see its table"
    return f"`{json.dumps(default, ensure_ascii=False)}`".replace('"', "")


def _name(reference: str) -> str:
    return reference.rsplit("/", 1)[-1]
