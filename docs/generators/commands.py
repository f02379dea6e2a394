"""The page of all commands, from click's own help."""

from __future__ import annotations

from collections.abc import Iterator

import click

HEADER = """# Command reference

The help of every command, as `hunmin VERB --help` prints it. What a command has to say goes to
standard error, what it makes goes to standard output. Exit codes: 0 good, 1 failed, 2 the input
cannot be used.
"""


def page(cli: click.Command) -> str:
    """Return the page for the whole command tree as Markdown."""
    parts = [HEADER]
    for path, text in helps(cli, "hunmin"):
        level = "##" if path.count(" ") < 2 else "###"
        parts.append(f"\n{level} {path}\n\n```text\n{text}\n```\n")
    return "".join(parts)


def helps(
    command: click.Command, path: str, parent: click.Context | None = None
) -> Iterator[tuple[str, str]]:
    """Yield the path and the help text of a command and of all below it."""
    context = click.Context(
        command, info_name=path.split()[-1], parent=parent, max_content_width=90
    )
    yield path, command.get_help(context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None and not inner.hidden:
                yield from helps(inner, f"{path} {name}", context)
