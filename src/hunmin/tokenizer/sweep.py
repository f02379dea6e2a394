"""Sweep the penalty on boundaries: one tokenizer for each value, and the frontier they make."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hunmin.core.artifact import Artifact
from hunmin.core.errors import InputError
from hunmin.core.figures import check_plotting
from hunmin.core.logs import get_logger
from hunmin.tokenizer.compare.compare import compare_tokenizers, write_comparison
from hunmin.tokenizer.compare.load import load_subject
from hunmin.tokenizer.compare.references import (
    ReferenceTexts,
    judge_by_analyser,
    read_reference,
)
from hunmin.tokenizer.compare.results import Comparison
from hunmin.tokenizer.compare.texts import Texts, held_out_texts
from hunmin.tokenizer.methods.base import TrainingTask
from hunmin.tokenizer.methods.morpheme_bpe import count_text, learn_tokenizer
from hunmin.tokenizer.methods.segmented import find_analyser, open_analysers
from hunmin.tokenizer.spec import CONSISTENT_KIND, MorphemeSpec, TokenizerSpec
from hunmin.tokenizer.train import plan_task, train_tokenizer, write_tokenizer

PLAIN_NAME = "byte-bpe"
MAX_TEXT_BYTES = 1_000_000
logger = get_logger(__name__)


@dataclass(frozen=True)
class Sweep:
    """What came of a sweep.

    Args:
        tokenizers: The artifacts by name, plain byte-level BPE first.
        comparison: Their numbers.
        report: The report artifact.
    """

    tokenizers: Mapping[str, Artifact]
    comparison: Comparison
    report: Artifact


def sweep_penalties(
    spec: TokenizerSpec,
    documents: Artifact,
    penalties: Sequence[float],
    folder: Path,
    *,
    gold: Sequence[Path] = (),
    recipe: Mapping[str, Any] | None = None,
) -> Sweep:
    """Train a tokenizer for each penalty and compare them with plain byte-level BPE.

    Args:
        spec: Of kind morpheme-bpe; its own penalty is not used.
        documents: A documents artifact.
        penalties: Values of `cross_penalty`.
        folder: Gets one tokenizer artifact for each and `report`.
        gold: Human segmentations; without any, the analysers judge held-out text.
        recipe: Recorded in the manifests.

    Returns:
        Tokenizers and report; the frontier of recall and tokens is one of its plots.

    Raises:
        InputError: The spec is of another kind, or there are neither gold nor analysers.
        MissingExtraError: matplotlib or an analyser is not installed.
        VocabularyError: A tokenizer has fewer entries than asked for.

    Note:
        The text is analysed and counted once, whatever the number of penalties.
    """
    _check(spec, gold)
    check_plotting()
    task = plan_task(spec, documents)
    # A missing analyser is told before anything is trained.
    open_analysers(task)
    tokenizers = dict(_train(task, penalties, folder, recipe))
    subjects = [load_subject(artifact.path, name) for name, artifact in tokenizers.items()]
    texts = held_out_texts(documents, max_bytes=MAX_TEXT_BYTES)
    comparison = compare_tokenizers(
        subjects,
        texts,
        _references(task, texts, gold),
        baseline=PLAIN_NAME,
        paths={name: artifact.path for name, artifact in tokenizers.items()},
        rounds=0,
    )
    inputs = [documents, *tokenizers.values()]
    report = write_comparison(comparison, folder / "report", recipe=recipe, inputs=inputs)
    return Sweep(tokenizers, comparison, report)


def _check(spec: TokenizerSpec, gold: Sequence[Path]) -> None:
    if spec.kind != CONSISTENT_KIND:
        raise InputError(
            "only the penalty of consistent BPE can be swept",
            where="tokenizer.kind",
            given=spec.kind,
            allowed=CONSISTENT_KIND,
            hint=f"add tokenizer.kind={CONSISTENT_KIND} to the command",
        )
    if not gold and not spec.morphemes.analysers:
        raise InputError(
            "nothing says where the boundaries are",
            where="tokenizer.morphemes.analysers",
            hint="name an analyser, such as 'tokenizer.morphemes.analysers={ko: kiwi}'",
        )


def _train(
    counted: TrainingTask,
    penalties: Sequence[float],
    folder: Path,
    recipe: Mapping[str, Any] | None,
) -> Iterator[tuple[str, Artifact]]:
    spec, documents = counted.spec, counted.documents
    plain = _changed(spec, kind=PLAIN_NAME, morphemes=MorphemeSpec(), superwords=0.0)
    yield PLAIN_NAME, train_tokenizer(plain, documents, folder / PLAIN_NAME, recipe=recipe)
    text = count_text(counted)
    for penalty in penalties:
        # All digits: two penalties must not share a folder.
        name = f"penalty {penalty:.15g}"
        changed = dict(spec.morphemes) | {"cross_penalty": penalty}
        morphemes = MorphemeSpec.model_validate(changed)
        task = TrainingTask(_changed(spec, morphemes=morphemes), documents, counted.sample)
        task.facts.update(counted.facts)
        tokenizer = learn_tokenizer(task.spec, text)
        logger.info("%s: %d entries", name, tokenizer.get_vocab_size())
        path = folder / name.replace(" ", "-")
        yield name, write_tokenizer(task, tokenizer, path, recipe=recipe)


def _changed(spec: TokenizerSpec, **changes: Any) -> TokenizerSpec:
    """Return another spec, checked."""
    return TokenizerSpec.model_validate(dict(spec) | changes)


def _references(task: TrainingTask, texts: Texts, gold: Sequence[Path]) -> list[ReferenceTexts]:
    """Return human segmentations, or what the analysers of the training find in the texts."""
    if gold:
        return [read_reference(path) for path in gold]
    found = []
    for language, chosen in texts.by_language().items():
        named = find_analyser(task.spec.morphemes, language)
        if named is not None and language in task.analysers:
            analyser = task.analysers[language]
            found += judge_by_analyser(named.name, analyser, language, texts, chosen)
    return found
