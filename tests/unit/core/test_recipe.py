"""Recipes: one base, overrides, all errors at once with their places."""

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import Field

from hunmin.core.errors import MissingInputError, RecipeError
from hunmin.core.recipe import COMMAND_LINE, check_values, load_recipe
from hunmin.core.spec import Spec


class Adam(Spec):
    """First variant."""

    kind: Literal["adam"] = "adam"
    """Kind."""
    rate: float = Field(1e-3, gt=0)
    """Step size."""


class Muon(Spec):
    """Second variant."""

    kind: Literal["muon"] = "muon"
    """Kind."""
    momentum: float = 0.9
    """Momentum."""


class Train(Spec):
    """A section."""

    steps: int = 10
    """Steps."""
    optimizer: Annotated[Adam | Muon, Field(discriminator="kind")] = Adam()
    """Optimizer."""
    languages: tuple[str, ...] = ()
    """Languages."""


class Toy(Spec):
    """A recipe."""

    name: str
    """Name."""
    train: Train | None = None
    """Section."""
    sources: tuple[Adam, ...] = ()
    """A list of blocks."""


@pytest.fixture
def write(tmp_path: Path):
    def write_file(text: str, name: str = "r.yaml") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write_file


def test_values_and_origins(write) -> None:
    path = write("name: a\ntrain:\n  steps: 5\n")
    loaded = load_recipe(path, Toy, ["train.optimizer.rate=3e-4"])
    assert loaded.spec.train is not None
    assert loaded.spec.train.steps == 5
    assert loaded.spec.train.optimizer == Adam(rate=3e-4)
    assert str(loaded.origin(("train", "steps"))) == f"{path}:3"
    assert str(loaded.origin(("train", "optimizer", "rate"))) == "command line"
    assert str(loaded.origin(("train", "languages"))) == "default"


def test_base_is_merged_by_key_and_lists_are_replaced(write) -> None:
    lower = write("name: low\ntrain:\n  steps: 5\n  languages: [ko, en]\n", "low.yaml")
    path = write("base: low.yaml\nname: high\ntrain:\n  languages: [no]\n")
    loaded = load_recipe(path, Toy)
    assert loaded.spec.name == "high"
    assert loaded.spec.train == Train(steps=5, languages=("no",))
    assert str(loaded.origin(("train", "steps"))) == f"{lower}:3"
    assert str(loaded.origin(("train", "languages", 0))) == f"{path}:4"
    assert ("train", "languages", 1) not in loaded.origins


def test_a_new_kind_replaces_its_block(write) -> None:
    write("name: low\ntrain:\n  optimizer: {kind: adam, rate: 1}\n", "low.yaml")
    path = write("base: low.yaml\ntrain:\n  optimizer: {kind: muon, momentum: 0.5}\n")
    spec = load_recipe(path, Toy).spec
    assert spec.train is not None
    assert spec.train.optimizer == Muon(momentum=0.5)


def test_a_block_given_in_part_keeps_the_default_of_the_rest(write) -> None:
    class Outer(Spec):
        """A block whose default differs from its own fields' defaults."""

        inner: Train = Train(steps=77, languages=("ko",))
        """Inner block."""

    spec = load_recipe(write("inner: {optimizer: {rate: 5}}\n"), Outer).spec
    assert spec.inner == Train(steps=77, languages=("ko",), optimizer=Adam(rate=5))


def test_overrides_reach_into_lists(write) -> None:
    path = write("name: a\nsources:\n  - rate: 1\n  - rate: 2\n")
    spec = load_recipe(path, Toy, ["sources.1.rate=7", "train.languages=[de]"]).spec
    assert [source.rate for source in spec.sources] == [1, 7]
    assert spec.train == Train(languages=("de",))


def test_all_errors_at_once_with_places_and_suggestions(write) -> None:
    path = write(
        "nane: a\ntrain:\n  stepz: 5\n  steps: many\n"
        "  optimizer:\n    kind: muon\n    rate: 1\nsources:\n  - rate: -1\n"
    )
    with pytest.raises(RecipeError) as caught:
        load_recipe(path, Toy)
    lines = str(caught.value).splitlines()
    assert f"{path}:1: nane: unknown key. Did you mean 'name'?" in lines
    assert f"{path}:3: train.stepz: unknown key. Did you mean 'steps'?" in lines
    assert any(f"{path}:4: train.steps:" in line and "'many'" in line for line in lines)
    expected = f"{path}:7: train.optimizer.rate: unknown key. Allowed: kind, momentum."
    assert expected in lines
    assert any(f"{path}:9: sources.0.rate:" in line and "-1" in line for line in lines)
    assert f"{path}: name: this key is required" in lines


def test_wrong_kind_names_the_allowed_ones(write) -> None:
    path = write("name: a\ntrain:\n  optimizer: {kind: mouon}\n")
    with pytest.raises(
        RecipeError, match=r"'mouon' is not one of: adam, muon. Did you mean 'muon'"
    ):
        load_recipe(path, Toy)


def test_values_without_a_file_are_checked_alike() -> None:
    assert check_values({"steps": 3}, Train, place=COMMAND_LINE) == Train(steps=3)
    with pytest.raises(RecipeError) as caught:
        check_values({"stepz": 3, "steps": "many"}, Train, place=COMMAND_LINE)
    first, second = sorted(str(caught.value).splitlines())
    assert first.startswith("command line: steps: input should be a valid integer")
    assert second == "command line: stepz: unknown key. Did you mean 'steps'?"


def test_missing_recipe_suggests_a_near_one(write) -> None:
    path = write("name: a", "quickstart.yaml")
    with pytest.raises(MissingInputError, match=r"Did you mean 'quickstart.yaml'"):
        load_recipe(path.with_name("quikstart.yaml"), Toy)


def test_a_recipe_that_is_its_own_base_is_refused(write) -> None:
    write("base: b.yaml\nname: a\n", "a.yaml")
    path = write("base: a.yaml\nname: b\n", "b.yaml")
    with pytest.raises(RecipeError, match="a recipe is its own base"):
        load_recipe(path, Toy)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n- b\n", "a recipe is a mapping"),
        ("base: [x]\nname: a\n", "base is one file name"),
    ],
)
def test_odd_recipes_are_refused(write, text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe(write(text), Toy)


def test_a_recipe_in_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_bytes("name: 가".encode("cp949"))
    with pytest.raises(RecipeError, match=r"not UTF-8[\s\S]*offset 6"):
        load_recipe(path, Toy)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.steps", "not an override"),
        ("sources.5.rate=1", "there is no such place"),
        ("sources.9=1", "there is no such place"),
        ("train.steps=[1", "not valid YAML"),
    ],
)
def test_bad_overrides_are_refused(write, override: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe(write("name: a\nsources: [{rate: 1}]\n"), Toy, [override])
