"""Measures tokenizers on the same texts and references, and writes a report artifact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hunmin.core.artifact import Artifact, load_artifact, write_artifact
from hunmin.core.errors import InputError
from hunmin.core.figures import PLOT_SUFFIXES, check_plotting
from hunmin.core.progress import progress
from hunmin.tokenizer.compare.measures import (
    TextScan,
    boundary_estimates,
    is_word_list,
    scan_texts,
    vocabulary_use,
)
from hunmin.tokenizer.compare.references import ReferenceTexts
from hunmin.tokenizer.compare.report import comparison_markdown
from hunmin.tokenizer.compare.results import (
    REPORT_NAME,
    BoundaryResult,
    Comparison,
    TextMeasures,
    TokenizerResult,
)
from hunmin.tokenizer.compare.speed import measure_speeds
from hunmin.tokenizer.compare.subject import Subject
from hunmin.tokenizer.compare.texts import Texts
from hunmin.tokenizer.compare.view import cut_sentences, sentences_html, sentences_svg

REPORT_KIND = "report"
NUM_SENTENCES = 6
MIN_SENTENCE, MAX_SENTENCE = 12, 60


def compare_tokenizers(
    subjects: Sequence[Subject],
    texts: Texts,
    references: Sequence[ReferenceTexts] = (),
    *,
    baseline: str,
    paths: Mapping[str, Path] | None = None,
    sentences: Sequence[str] = (),
    rounds: int = 3,
    num_resamples: int = 1000,
) -> Comparison:
    """Measure tokenizers on the same texts and references.

    Args:
        subjects: The tokenizers.
        texts: Texts to encode; may be empty if there are references.
        references: Boundaries to compare with.
        baseline: Name of the tokenizer that the others are divided by.
        paths: Where each tokenizer lies, for the report.
        sentences: Sentences to show side by side; some short ones of the texts by default.
        rounds: Rounds of the measurement of speed; 0 for none.
        num_resamples: Bootstrap resamples behind each interval.

    Returns:
        All numbers.

    Raises:
        InputError: There is nothing to compare on.
    """
    if not texts.texts and not references:
        raise InputError(
            "there is nothing to compare on",
            hint="name texts (--texts FILE), gold segmentations (--gold FILE), or both",
        )
    scans = _scan(subjects, texts)
    sample = texts.texts or [text.text for reference in references for text in reference.texts]
    speeds = measure_speeds(subjects, sample, baseline=baseline, rounds=rounds) if rounds else {}
    boundaries = _score(subjects, references, num_resamples)
    results = [
        TokenizerResult(
            name=subject.name,
            path=str((paths or {}).get(subject.name, "")),
            kind=subject.kind,
            digest=subject.digest,
            vocab_size=subject.vocab_size,
            speed=speeds.get(subject.name, {}),
            boundaries=boundaries[subject.name],
            **_text_results(scans.get(subject.name), scans.get(baseline), texts, subject),
        )
        for subject in subjects
    ]
    shown = sentences or choose_sentences(texts, references)
    return Comparison(
        baseline=baseline,
        num_resamples=num_resamples,
        references=tuple(reference.facts() for reference in references),
        tokenizers=tuple(results),
        sentences=cut_sentences(subjects, shown),
    )


def choose_sentences(texts: Texts, references: Sequence[ReferenceTexts]) -> list[str]:
    """Return some short sentences, in turn from each reference and each source of the texts.

    Args:
        texts: The texts.
        references: Texts with boundaries; lists of words are passed over.

    Returns:
        Up to six sentences.
    """
    pools = [[text.text for text in reference.texts] for reference in references]
    pools = [pool for pool in pools if not is_word_list(pool)]
    for chosen in texts.by_source().values():
        few = [text for text, flag in zip(texts.texts, chosen, strict=True) if flag][:1000]
        pools.append([line.strip() for text in few for line in text.splitlines()])
    short = [[t for t in pool if MIN_SENTENCE <= len(t) <= MAX_SENTENCE] for pool in pools]
    turns = [pool[turn] for turn in range(NUM_SENTENCES) for pool in short if turn < len(pool)]
    return list(dict.fromkeys(turns))[:NUM_SENTENCES]


def write_comparison(
    comparison: Comparison,
    output: Path,
    *,
    recipe: Mapping[str, Any] | None = None,
    inputs: Sequence[Artifact] = (),
) -> Artifact:
    """Write a comparison as a report artifact.

    Args:
        comparison: The numbers.
        output: Folder of the artifact.
        recipe: What was asked, recorded in the manifest.
        inputs: Artifacts that were compared or read.

    Returns:
        The report artifact: report.json, report.md, plots as PNG and SVG, sentences as HTML and
        SVG.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    check_plotting()
    from hunmin.tokenizer.compare import plots

    with write_artifact(output, REPORT_KIND, recipe=recipe, inputs=inputs) as draft:
        folder = draft.path
        drawn = plots.plot_all(comparison, folder, PLOT_SUFFIXES)
        markdown = comparison_markdown(comparison, plots=drawn)
        (folder / REPORT_NAME).write_text(
            comparison.model_dump_json(indent=1) + "\n", encoding="utf-8"
        )
        (folder / "report.md").write_text(markdown, encoding="utf-8")
        if comparison.sentences:
            html, svg = sentences_html(comparison.sentences), sentences_svg(comparison.sentences)
            (folder / "sentences.html").write_text(html, encoding="utf-8")
            (folder / "sentences.svg").write_text(svg, encoding="utf-8")
        draft.facts["tokenizers"] = [result.name for result in comparison.tokenizers]
        draft.facts["references"] = [reference.name for reference in comparison.references]
    return load_artifact(output, REPORT_KIND, verify=False)


def _scan(subjects: Sequence[Subject], texts: Texts) -> dict[str, TextScan]:
    if not texts.texts:
        return {}
    total = len(subjects) * len(texts.texts)
    with progress("encoding and decoding", total=total, unit="texts") as bar:
        return {
            subject.name: scan_texts(subject, texts.texts, advance=bar.advance)
            for subject in subjects
        }


def _text_results(
    scan: TextScan | None, baseline: TextScan | None, texts: Texts, subject: Subject
) -> dict[str, Any]:
    if scan is None or baseline is None:
        return {}
    return {
        "overall": _relative(scan.measures(), baseline.measures()),
        "by_language": {
            name: _relative(scan.measures(chosen), baseline.measures(chosen))
            for name, chosen in texts.by_language().items()
        },
        "by_source": {
            name: _relative(scan.measures(chosen), baseline.measures(chosen))
            for name, chosen in texts.by_source().items()
        },
        "vocabulary": vocabulary_use(scan.id_counts, subject.vocab_size),
        "round_trip": scan.round_trip(),
    }


def _relative(mine: TextMeasures, theirs: TextMeasures) -> TextMeasures:
    ratio = mine.num_tokens / max(theirs.num_tokens, 1)
    return mine.model_copy(update={"relative_tokens": ratio})


def _score(
    subjects: Sequence[Subject], references: Sequence[ReferenceTexts], num_resamples: int
) -> dict[str, dict[str, BoundaryResult]]:
    total = len(subjects) * len(references)
    scores: dict[str, dict[str, BoundaryResult]] = {subject.name: {} for subject in subjects}
    if not total:
        return scores
    with progress("comparing boundaries", total=total, unit="comparisons") as bar:
        for reference in references:
            for subject in subjects:
                scores[subject.name][reference.name] = boundary_estimates(
                    subject, reference.texts, num_resamples=num_resamples
                )
                bar.advance()
    return scores
