"""Options that take as many values as follow: `--good *.txt` as a shell writes it out."""

from __future__ import annotations

import click


class ManyValuesCommand(click.Command):
    """Takes `--good a b` as `--good a --good b` for options that may be repeated.

    Note:
        For commands without arguments of their own: a value after such an option is the option's.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Write the option before each of its values."""
        names = {
            name
            for option in self.params
            if isinstance(option, click.Option) and option.multiple
            for name in option.opts
        }
        return super().parse_args(ctx, _written_out(args, names))


def _written_out(args: list[str], names: set[str]) -> list[str]:
    found: list[str] = []
    current: str | None = None
    for place, word in enumerate(args):
        if word.startswith("-") and word != "-":
            current = word if word in names else None
            found.append(word)
        elif current is not None and args[place - 1] != current:
            found += [current, word]
        else:
            found.append(word)
    return found
