"""Options and KEY=VALUE words of `hunmin finetune` as the section `nlu` of a recipe."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hunmin.cli.options import PATHS, device_option

if TYPE_CHECKING:
    from hunmin.adapt.nlu.spec import NluSpec

_DECORATORS = (
    click.argument("body", type=PATHS),
    click.argument("settings", nargs=-1, metavar="[KEY=VALUE]…"),
    click.option(
        "--data",
        required=True,
        multiple=True,
        type=PATHS,
        metavar="FOLDER",
        help="Folder of LOCALE.jsonl files in the form of MASSIVE; may be repeated.",
    ),
    click.option(
        "--train", metavar="LOCALE,LOCALE…", help="Locales to learn from.  [default: all]"
    ),
    click.option(
        "--preset",
        metavar="NAME",
        help="Settings tuned for a kind of body: small, xlmr-full, xlmr-zero-shot, "
        "mt5-encoder-full, mt5-encoder-zero-shot, mt5-text-full, mt5-text-zero-shot.  "
        "[default: small]",
    ),
    device_option,
)


@dataclass(frozen=True)
class TrainingArguments:
    """What every command that trains heads is asked for.

    Args:
        body: Folder of the body.
        settings: Words KEY=VALUE.
        data: Folders of utterances.
        train: Locales to learn from, with commas between; None for all.
        preset: Name of a preset; None for the default.
        device: Name of a device; None for the first GPU, else the CPU.
    """

    body: Path
    settings: tuple[str, ...]
    data: tuple[Path, ...]
    train: str | None
    preset: str | None
    device: str | None

    def spec(
        self, *, teacher: Path | None = None, locales: Mapping[str, str | None] | None = None
    ) -> NluSpec:
        """Return the section.

        Args:
            teacher: Folder of a teacher, if any.
            locales: Other keys of the section -> names with commas between, None for the default.

        Returns:
            The section.

        Raises:
            RecipeError: A key or a value is none; the message says what is.
        """
        return nlu_spec(
            self.settings,
            data=self.data,
            teacher=teacher,
            preset=self.preset,
            locales={"train_locales": self.train, **(locales or {})},
        )


def training_arguments(function: Callable[..., None]) -> Callable[..., None]:
    """Add BODY, KEY=VALUE words and the flags of every training of heads.

    Args:
        function: Takes them as `TrainingArguments`, and its own options by name.

    Returns:
        What click calls; packages that are missing are named before anything is read.
    """

    @functools.wraps(function)
    def with_arguments(**values: Any) -> None:
        from hunmin.core.extras import require

        require("transformers", extra="train")
        asked = {field.name: values.pop(field.name) for field in fields(TrainingArguments)}
        function(TrainingArguments(**asked), **values)

    for decorator in reversed(_DECORATORS):
        with_arguments = decorator(with_arguments)
    return with_arguments


def nlu_spec(
    settings: Sequence[str],
    *,
    data: Sequence[Path],
    teacher: Path | None,
    preset: str | None,
    locales: Mapping[str, str | None],
) -> NluSpec:
    """Return the section.

    Args:
        settings: Words KEY=VALUE, values in YAML.
        data: Folders.
        teacher: Folder of a teacher, if any.
        preset: Name of a preset; None for the default.
        locales: Key of the section -> names with commas between, None for the default.

    Returns:
        The section.

    Raises:
        RecipeError: A key or a value is none; the message says what is.
    """
    from hunmin.adapt.nlu.spec import NluSpec
    from hunmin.core.recipe import COMMAND_LINE, check_values
    from hunmin.core.yaml12 import parse_yaml

    given: dict[str, Any] = {"data": tuple(data), "teacher": teacher}
    given |= {"preset": preset} if preset else {}
    given |= {key: tuple(names.split(",")) for key, names in locales.items() if names}
    for item in settings:
        key, equals, value = item.partition("=")
        if not equals:
            raise click.UsageError(f"'{item}' is no KEY=VALUE, such as epochs=20")
        given[key], _ = parse_yaml(value, item)
    return check_values(given, NluSpec, place=COMMAND_LINE, name="settings")
