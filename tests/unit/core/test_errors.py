"""Errors say where, what was given, what is allowed and what to do next."""

from pathlib import Path

import pytest

from hunmin.core import errors
from hunmin.core.errors import HunminError, InputError, RecipeError, suggest, suggest_folder

ALL_ERRORS = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, HunminError)
]


def test_message_has_every_part() -> None:
    error = RecipeError(
        "unknown key", where="a.yaml:3", given="stepz", allowed="steps", hint="rename it"
    )
    assert str(error) == (
        "a.yaml:3: unknown key\n  given:   stepz\n  allowed: steps\n  next:    rename it"
    )


@pytest.mark.parametrize("error_type", ALL_ERRORS)
def test_exit_code_follows_whose_fault_it_is(error_type: type[HunminError]) -> None:
    assert error_type.exit_code == (2 if issubclass(error_type, InputError) else 1)


@pytest.mark.parametrize("error_type", [e for e in ALL_ERRORS if e is not HunminError])
def test_every_error_is_also_a_builtin_one(error_type: type[HunminError]) -> None:
    builtin = [base for base in error_type.__mro__ if base.__module__ == "builtins"]
    assert len(builtin) > len(HunminError.__mro__) - 1
    assert "boom" in str(error_type("boom", where="here"))


def test_the_tree_in_the_docstring_is_complete() -> None:
    assert errors.__doc__ is not None
    assert all(error_type.__name__ in errors.__doc__ for error_type in ALL_ERRORS)


def test_suggest() -> None:
    assert suggest("stepz", ["steps", "tokens"]) == " Did you mean 'steps'?"
    assert suggest("qqq", ["steps"]) == ""


def test_only_folders_are_suggested_where_a_folder_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "o.txt").touch()
    assert suggest_folder(tmp_path / "out") == ""
    (tmp_path / "outs").mkdir()
    assert suggest_folder(tmp_path / "out") == " Did you mean 'outs'?"
    assert suggest_folder(tmp_path / "none" / "out") == ""
