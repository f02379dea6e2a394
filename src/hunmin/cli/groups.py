"""Groups of commands of which one is meant where none is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from hunmin.core.errors import suggest


class GroupWithDefault(click.Group):
    """Takes `hunmin VERB RECIPE` as `hunmin VERB DEFAULT RECIPE`.

    Args:
        default: The command that is meant where the first word is none.
        **options: Those of every group.
    """

    def __init__(self, *, default: str, **options: Any) -> None:
        super().__init__(**options)
        self._default = default

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the default before a word that is no command, but looks like a file."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            nearest = suggest(args[0], self.commands)
            if nearest and not Path(args[0]).exists():
                ctx.fail(f"No such command '{args[0]}'.{nearest}")
            args = [self._default, *args]
        return super().parse_args(ctx, args)
