"""Losses of groups, and what a second stage gained and forgot, with models of all three kinds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.support.documents import document, write_documents
from tests.support.texts import SENTENCES

from hunmin.core.artifact import Artifact
from hunmin.core.errors import ArtifactMismatchError, InputError
from hunmin.data.corrupting import make_loader
from hunmin.data.shards import write_shards
from hunmin.data.spec import DataSpec
from hunmin.evaluation.forgetting import (
    ForgettingReport,
    compare_groups,
    named_groups,
    write_forgetting_report,
)
from hunmin.evaluation.group_losses import (
    DocumentScores,
    GroupScores,
    group_losses,
    score_groups,
)
from hunmin.models.architecture import layout_of
from hunmin.models.build import build_model, model_config
from hunmin.models.export import save_model
from hunmin.models.objective import LanguageModelObjective
from hunmin.models.spec import ModelSpec
from hunmin.tokenizer.load import load_tokenizer
from hunmin.tokenizer.spec import TokenizerSpec
from hunmin.tokenizer.train import train_tokenizer

DATA = DataSpec(context=32, mix_by="language and source", num_workers=1)
PRESETS = {
    "decoder": "hunmin",
    "encoder": "alexatm-encoder-17m",
    "encoder-decoder": "hunmin-seq2seq",
}
OWN, LANGUAGES = "commands", ("ko", "en", "sw")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Artifact, Artifact]:
    """A tokenizer and shards: two sources in three languages, each held out in part."""
    folder = tmp_path_factory.mktemp("inputs")
    rows = [
        document(f"{text} {number}", language, source)
        for language in LANGUAGES
        for source in (OWN, "web")
        for text in SENTENCES[language]
        for number in range(24)
        if source == "web" or text == SENTENCES[language][0]
    ]
    documents = write_documents(folder / "documents", {"train": rows, "validation": rows[::3]})
    spec = TokenizerSpec(vocab_size=520, reserve="objectives")
    tokenizer = train_tokenizer(spec, documents, folder / "tokenizer")
    return tokenizer, write_shards(DATA, documents, tokenizer, folder / "tokens")


def trained(inputs: tuple[Artifact, Artifact], kind: str, folder: Path) -> tuple[Path, Path]:
    """A fresh model, and what some steps on the commands alone make of it."""
    tokenizer_artifact, tokens = inputs
    tokenizer = load_tokenizer(tokenizer_artifact.path)
    heads: dict[str, Any] = {"kv_heads": 2} if kind == "decoder" else {}
    config = model_config(
        ModelSpec(preset=PRESETS[kind], layers=2, width=64, heads=2, feedforward=96, **heads),
        vocab_size=tokenizer.size,
        context=DATA.context + 2,
        boundary_id=tokenizer.boundary_id,
        pad_id=tokenizer.pad_id,
    )
    model = build_model(config, seed=0)
    paths = []
    for name in ("before", "after"):
        paths.append(folder / name)
        paths[-1].mkdir()
        save_model(model, tokenizer_artifact.path, paths[-1])
        if name == "before":
            only = DATA.model_copy(update={"weights": {OWN: 1.0, "web": 0.0}})
            loader = make_loader(tokens, only, tokenizer, layout_of(config), batch_size=16)
            _teach(model, loader)
    return paths[0], paths[1]


def _teach(model: Any, loader: Any) -> None:
    objective = LanguageModelObjective(model.train())
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for step in range(12):
        batch = loader.batch(step)
        loss = objective(batch) / (batch.labels >= 0).sum()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.eval()


@pytest.fixture(scope="module", params=list(PRESETS))
def models(
    request: pytest.FixtureRequest,
    inputs: tuple[Artifact, Artifact],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[str, Path, Path]:
    folder = tmp_path_factory.mktemp(request.param)
    return request.param, *trained(inputs, request.param, folder)


def test_losses_of_groups_are_those_of_their_tokens(
    models: tuple[str, Path, Path], inputs: tuple[Artifact, Artifact]
) -> None:
    kind, before, _ = models
    scores = score_groups(before, inputs[1], DATA, precision="fp32")
    assert scores.kind == kind
    names = {f"{language}/{source}" for language in LANGUAGES for source in (OWN, "web")}
    assert set(scores.groups) == names
    losses = group_losses(scores)
    for loss in losses.values():
        # A fresh model knows nothing: about the logarithm of its vocabulary.
        assert loss.loss.value == pytest.approx(np.log(520), abs=0.7)
        assert loss.loss.low is not None
        assert loss.loss.low < loss.loss.value < (loss.loss.high or 0)
        assert loss.read_tokens == loss.available_tokens
        if kind == "decoder":
            assert loss.scored_tokens == loss.available_tokens
        if kind == "encoder":
            assert 0.1 < loss.scored_tokens / loss.available_tokens < 0.3
    again = score_groups(before, inputs[1], DATA, precision="fp32")
    assert group_losses(again) == losses
    halves = score_groups(before, inputs[1], DATA, precision="fp32", microbatch_tokens=64)
    for name, each in halves.groups.items():
        assert each.tokens.tolist() == scores.groups[name].tokens.tolist()
        np.testing.assert_allclose(each.nats, scores.groups[name].nats, rtol=1e-4)


def test_fewer_tokens_are_the_first_rows(
    models: tuple[str, Path, Path], inputs: tuple[Artifact, Artifact]
) -> None:
    whole = score_groups(models[1], inputs[1], DATA, precision="fp32")
    part = score_groups(models[1], inputs[1], DATA, precision="fp32", max_tokens_per_group=64)
    for name, few in part.groups.items():
        assert few.read_tokens == 64
        assert few.tokens.tolist() == whole.groups[name].tokens[: len(few.tokens)].tolist()


def test_the_report_tells_what_was_gained_and_forgotten(
    models: tuple[str, Path, Path], inputs: tuple[Artifact, Artifact], tmp_path: Path
) -> None:
    _, before, after = models
    output = tmp_path / "stage2"
    report = write_forgetting_report(before, after, inputs[1], DATA, output, [OWN])
    stored = ForgettingReport.model_validate_json((output / "forgetting.json").read_text("utf-8"))
    assert stored == report
    assert (report.in_domain.groups, report.general.groups if report.general else 0) == (3, 3)
    assert report.in_domain.mean.is_sure
    assert report.in_domain.mean.difference.value < -0.3
    for name, group in report.groups.items():
        assert group.is_in_domain is name.endswith(OWN)
        change = group.change
        difference = change.after.value - change.before.value
        assert change.difference.value == pytest.approx(difference)
    markdown = (output / "forgetting.md").read_text("utf-8")
    assert report.sentence in markdown
    assert "in-domain text fell from" in report.sentence
    assert all(f"| {name} |" in markdown for name in report.groups)
    assert {path.name for path in output.iterdir()} >= {"forgetting.png", "forgetting.svg"}


def scores_of(losses: dict[str, float], documents: int = 40, kind: str = "encoder") -> GroupScores:
    """Scores of made-up documents whose loss is near the one given."""
    groups = {}
    for name, loss in losses.items():
        generator = np.random.default_rng(len(name))
        tokens = generator.integers(2, 20, documents).astype(float)
        nats = (loss + generator.normal(0, 0.3, documents)) * tokens
        groups[name] = DocumentScores(nats, tokens, int(tokens.sum()), 2 * int(tokens.sum()))
    return GroupScores(kind, "validation", "fp32", groups)


def test_a_sentence_says_who_lost() -> None:
    before = scores_of({"ko/web": 4.0, "th/web": 4.0, "ko/own": 5.0})
    after = scores_of({"ko/web": 4.0, "th/web": 4.4, "ko/own": 3.0})
    report = compare_groups(before, after, {"ko/own"}, "digest")
    assert report.sentence.startswith("The loss on in-domain text fell from 4.998 to 2.998")
    assert "1 of 2 general groups lost beyond doubt, most of all th/web (+0.400)" in report.sentence
    assert report.groups["ko/web"].change.difference.value == 0
    assert not report.groups["ko/web"].change.is_sure
    assert report.general is not None
    assert report.general.mean.difference.value == pytest.approx(0.2)
    # No interval where there is hardly a document, and nothing is claimed from it.
    few = compare_groups(
        scores_of({"a": 4.0, "b": 4.0}, 3), scores_of({"a": 3.0, "b": 5.0}, 3), {"a"}, "digest"
    )
    assert few.groups["b"].change.difference.low is None
    assert "0 of 1 general groups lost" in few.sentence
    assert "not beyond doubt" in few.sentence
    alone = compare_groups(scores_of({"a": 4.0}), scores_of({"a": 3.0}), {"a"}, "digest")
    assert alone.sentence.endswith("there is no other text to forget.")


def test_models_that_were_not_asked_the_same_are_not_compared() -> None:
    one = scores_of({"a": 4.0})
    with pytest.raises(ArtifactMismatchError, match="two kinds of models"):
        compare_groups(one, scores_of({"a": 4.0}, kind="decoder"), {"a"}, "digest")
    with pytest.raises(ArtifactMismatchError, match="did not say the same tokens"):
        compare_groups(one, scores_of({"a": 4.0}, 7), {"a"}, "digest")


def test_names_of_in_domain_text() -> None:
    groups = ["ko/own", "en/own", "ko/web"]
    assert named_groups(groups, DATA, ["own"]) == {"ko/own", "en/own"}
    assert named_groups(groups, DATA, ["ko", "en/own"]) == set(groups)
    with pytest.raises(InputError, match="no such group"):
        named_groups(groups, DATA, ["owm"])
    with pytest.raises(InputError, match="what the second stage is about"):
        named_groups(groups, DATA, [])


def test_two_panels_are_drawn_the_same_every_time(tmp_path: Path) -> None:
    from hunmin.evaluation.forgetting_plot import plot_forgetting

    names = [f"{a}{b}/{source}" for a in "abcdef" for b in "abcdef" for source in ("x", "y")]
    before = scores_of(dict.fromkeys(names, 4.0), 8)
    after = scores_of({name: 3.0 if name.endswith("x") else 4.1 for name in names}, 8)
    own = {name for name in names if name.endswith("x")}
    report = compare_groups(before, after, own, "digest")
    paths = [tmp_path / "plot.svg", tmp_path / "again.svg"]
    for path in paths:
        plot_forgetting(report, [path])
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert json.loads(report.model_dump_json())["in_domain"]["groups"] == 36
