"""Every recipe loads and can be shown; recipes in the documentation are real ones."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from tests.support.recipes import write_texts

from hunmin.cli.main import run_cli
from hunmin.core.artifact import load_artifact
from hunmin.core.yaml12 import parse_yaml
from hunmin.pipeline.recipe import read_recipe

REPOSITORY = Path(__file__).resolve().parents[2]
RECIPES = sorted((REPOSITORY / "recipes").glob("*.yaml"))
PAGES = sorted((REPOSITORY / "docs").rglob("*.md"))
# Recipes that test_commands.py runs to the end through scripts/quickstart.
RUN_ELSEWHERE = {"quickstart.yaml", "quickstart-text.yaml", "quickstart-assistant.yaml"}
# Recipes for a tokenizer alone.
TOKENIZERS = {"tokenizer.yaml"}
# Recipes for a corpus alone, with what makes them small enough for a test.
CORPORA = {
    "corpus-korean.yaml": [f"corpus.sources.{place}.enabled=false" for place in (0, 1, 5)],
    "corpus-japanese.yaml": ["corpus.sources.0.enabled=false"],
}
# Recipes that are run here with a small model and few steps, on a folder of texts.
RUN_SMALL = {
    "tokenizer-ablation.yaml": (
        "corpus.sources=[{{kind: files, paths: [{texts}], language: ko}}]",
        "corpus.validation_fraction=0.2",
        "tokenizer.vocab_size=400",
        "tokenizer.morphemes.analysers={{ko: mecab-ko}}",
        "data.context=32",
        "model.layers=2",
        "model.width=64",
        "train.duration=4 steps",
        "train.batch_tokens=128",
        "train.microbatch_tokens=64",
    ),
    "ko-125m-pretrain.yaml": (
        "corpus.sources.0.paths=[{texts}]",
        "corpus.min_characters=1",
        "corpus.validation_fraction=0.2",
        "tokenizer.vocab_size=300",
        "data.context=32",
        "model.layers=2",
        "model.width=64",
        "model.heads=2",
        "train.duration=4 steps",
        "train.batch_tokens=128",
        "train.microbatch_tokens=64",
        "generate.sampling.max_tokens=8",
    ),
}

# The whole chain of teachers and students, on three languages and a few steps each.
ASSISTANT = (
    "corpus.sources=[{kind: home-assistant, languages: [en, ko, de], "
    "max_utterances_per_language: 150}]",
    "tokenizer.vocab_size=700",
    "data.context=32",
    "data.weights={}",
    "stage2.data.weights={}",
    "intermediate.data.weights={}",
    "student.data.weights={}",
    "model.size=1M",
    "intermediate.model={preset: hunmin-encoder, layers: 2, width: 64}",
    "student.model={preset: hunmin-encoder, layers: 1, width: 64}",
    *(
        f"{section}{key}"
        for section in ("train", "stage2.train", "intermediate.train", "student.train")
        for key in (
            ".duration=3 steps",
            ".batch_tokens=512",
            ".microbatch_tokens=512",
            ".evaluation_tokens=512",
        )
    ),
    "nlu.epochs=1",
    "export.max_drop=100",
)


def blocks(language: str) -> list[tuple[str, str]]:
    """Return page and content of all code blocks in a language."""
    pattern = rf"^ *```{language}\n(.*?)^ *```"
    return [
        (f"{page.relative_to(REPOSITORY)}", block)
        for page in PAGES
        for block in re.findall(
            pattern, page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
        )
    ]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.name)
def test_recipe_says_its_cost_and_can_be_shown(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert recipe.read_text(encoding="utf-8").startswith("#"), "what it is for, and what it costs"
    monkeypatch.chdir(tmp_path)
    assert run_cli(["run", str(recipe), "--dry-run"]) == 0


def test_every_recipe_is_run_by_a_test() -> None:
    assert {recipe.name for recipe in RECIPES} == {
        *RUN_ELSEWHERE, *TOKENIZERS, *CORPORA, *RUN_SMALL, "assistant.yaml"
    }  # fmt: skip


@pytest.mark.parametrize("name", CORPORA)
def test_corpus_recipe_makes_a_corpus_with_its_report(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared_data: Path
) -> None:
    assert shared_data.is_dir()
    monkeypatch.chdir(REPOSITORY)
    command = ["corpus", "build", str(REPOSITORY / "recipes" / name), *CORPORA[name]]
    assert run_cli([*command, "--run-dir", str(tmp_path / "run")]) == 0
    facts = load_artifact(tmp_path / "run" / "corpus").facts
    assert facts["total"]["documents"] > 1000
    assert {"privacy", "duplicates", "lines", "contamination", "languages_found"} <= set(facts)
    assert "plots/flow.svg" in (tmp_path / "run" / "corpus" / "report.md").read_text("utf-8")


@pytest.mark.parametrize("name", RUN_SMALL)
def test_recipe_runs_with_a_small_model(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = write_texts(tmp_path / "texts")
    overrides = [override.format(texts=texts) for override in RUN_SMALL[name]]
    recipe = REPOSITORY / "recipes" / name
    assert run_cli(["run", str(recipe), *overrides, "--run-dir", str(tmp_path / "run")]) == 0
    assert "bits per byte" in capsys.readouterr().out


@pytest.mark.parametrize("name", TOKENIZERS)
def test_recipe_makes_a_tokenizer(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = write_texts(tmp_path / "texts")
    small = ("tokenizer.vocab_size=400", "tokenizer.morphemes.analysers={ko: mecab-ko}")
    command = ["tokenizer", "train", str(REPOSITORY / "recipes" / name), *small]
    source = f"corpus.sources.0.paths=[{texts}]"
    assert run_cli([*command, source, "--run-dir", str(tmp_path / "run")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "run" / "tokenizer")


@pytest.mark.parametrize(("page", "block"), blocks("yaml"))
def test_recipe_on_a_page_is_valid(page: str, block: str, tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / "recipes", tmp_path / "recipes")
    value, _ = parse_yaml(block, page)
    name = "" if "name" in value else "name: example\n"
    recipe = tmp_path / "recipes" / "example.yaml"
    recipe.write_text(name + block, encoding="utf-8")
    read_recipe(recipe)


def shown_runs() -> list[tuple[str, str]]:
    """Return page and line of each `$ hunmin run …`."""
    return [
        (page, line.removeprefix("$ hunmin "))
        for page, block in blocks("console")
        for line in block.splitlines()
        if line.startswith("$ hunmin run ")
    ]


@pytest.mark.parametrize(("page", "line"), shown_runs())
def test_run_on_a_page_has_valid_overrides(
    page: str, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shlex

    monkeypatch.chdir(REPOSITORY)
    arguments = [word for word in shlex.split(line) if word != "--dry-run"]
    assert run_cli([*arguments, "--dry-run"]) == 0, page


def test_the_assistant_recipe_goes_from_text_to_an_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    recipe = str(REPOSITORY / "recipes" / "assistant.yaml")
    assert run_cli(["run", recipe, *ASSISTANT, "--run-dir", str(run)]) == 0
    kinds = {
        path.parent.name: load_artifact(path.parent).manifest.kind
        for path in run.glob("*/manifest.json")
    }
    assert kinds["student"] == "model"
    assert kinds["nlu"] == "nlu-model"
    assert kinds["export"] == "nlu-onnx"
    report = json.loads((run / "nlu" / "report.json").read_text(encoding="utf-8"))
    assert set(report["scores"]["locales"]) == {"en", "ko", "de"}
    assert (run / "stage2-train" / "forgetting.md").is_file()
    end = capsys.readouterr().out
    assert "Zero-shot (2 locales, no label was seen): exact match" in end
    assert f'hunmin ask {run} "거실 불 켜줘"' in end
    assert run_cli(["ask", str(run), "거실 불 켜줘", "--locale", "ko", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["text"] == "거실 불 켜줘"
