"""Consistent morpheme-aware BPE in many languages: boundaries kept, tokens needed, time taken.

Each language gets, from the same text and with the same vocabulary size, plain byte-level BPE and
consistent BPE by every way to find its morphemes: a table of segmented words, Morfessor that
learned from that text alone, for Japanese its analysers. Human segmentations judge (SIGMORPHON
2022, words that the table lacks); Japanese has none here, so its analysers judge each other.

    python benchmarks/tokenizer_languages.py
    python benchmarks/tokenizer_languages.py --groups ces eng --penalties 1 0
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from harness import RESULTS, markdown_table, write_result
from language_texts import (
    DATA,
    LANGUAGES,
    Language,
    held_out_news,
    training_documents,
    write_gold,
)

from hunmin.core.artifact import MANIFEST_NAME, Artifact, load_artifact
from hunmin.tokenizer.compare.compare import compare_tokenizers
from hunmin.tokenizer.compare.load import load_subject
from hunmin.tokenizer.compare.references import ReferenceTexts, analyse_texts, read_reference
from hunmin.tokenizer.compare.results import BoundaryResult, Comparison, Cut
from hunmin.tokenizer.compare.texts import Texts
from hunmin.tokenizer.methods.base import TrainingTask
from hunmin.tokenizer.sample import plan_sample
from hunmin.tokenizer.spec import AnalyserSpec, MorphemeSpec, TokenizerSpec
from hunmin.tokenizer.train import METHODS, write_tokenizer

BASELINE = "byte-bpe"
ANALYSERS = {"jpn": ("unidic", "sudachi")}
# One tokenizer for all of them, in many scripts, with nothing but `"*": morfessor`.
SCRIPTS = ("est", "tel", "amh", "arb", "fas", "hin", "tha")
GROUPS = {name: (name,) for name in LANGUAGES if name not in SCRIPTS} | {"scripts": SCRIPTS}
TWO_PENALTIES = ("ces", "eng")
NUM_RESAMPLES = 200
NUM_WORDS, NUM_SENTENCES = 8, 1
LEGEND = """\
tokens: of held-out news, relative to byte-bpe; words: of test_a, not in the table, each after a
space, only those spelled like their segments joined (where segments are canonical, few: compounds
and words with clitics); aligned: the same words and the others, canonical segments placed in the
spelling by the rule of `text/segmentation/alignment.py`, not by people; sentences: test_a and dev,
whose words the table may have; partial: share of tokens that begin or end within a character;
changed: lines that decode to something else; CPU s: training, analysis included."""
CUTS = "Held-out words and lines as they are cut; ⟨2⟩: two tokens share these characters."
Found = tuple[Comparison, dict[str, Artifact], list[ReferenceTexts]]


@dataclass
class Group:
    """Some languages that share tokenizers.

    Args:
        name: A key of GROUPS.
        folder: Where everything about it is kept.
        documents: Its training text.
        gold: Files of segmentations.
        texts: Held-out lines.
    """

    name: str
    folder: Path
    documents: Artifact
    gold: dict[str, Path]
    texts: Texts

    @property
    def languages(self) -> list[Language]:
        """Its languages."""
        return [LANGUAGES[code] for code in GROUPS[self.name]]

    @property
    def vocab_size(self) -> int:
        """Entries of each of its tokenizers."""
        return sum(language.vocab_size for language in self.languages)


def open_group(name: str, options: argparse.Namespace) -> Group:
    """Read text and segmentations of some languages."""
    folder = options.folder / name
    languages = [LANGUAGES[code] for code in GROUPS[name]]
    documents = training_documents(
        languages, folder / "documents", max_bytes=options.max_bytes, data=options.data
    )
    texts = Texts()
    for language in languages:
        lines = held_out_news(language, options.data)
        texts.texts += lines
        texts.languages += [language.tag] * len(lines)
        texts.sources += [language.code] * len(lines)
    gold = write_gold(languages[0], folder / "gold", options.data)
    return Group(name, folder, documents, gold, texts)


def analysers_of(group: Group) -> dict[str, AnalyserSpec]:
    """Return the ways to find morphemes in a group, by name."""
    if group.name in ANALYSERS:
        return {name: AnalyserSpec(name=name) for name in ANALYSERS[group.name]}
    morfessor = {"morfessor": AnalyserSpec(name="morfessor")}
    if "table" not in group.gold:
        return morfessor
    return {"table": AnalyserSpec(name="table", path=group.gold["table"]), **morfessor}


def specs_of(group: Group, options: argparse.Namespace) -> dict[str, TokenizerSpec]:
    """Return the tokenizers of a group by name."""
    size = min(group.vocab_size, options.max_vocab_size)
    plain = TokenizerSpec(vocab_size=size, temperature=1)
    penalties = options.penalties or ((1, 0) if group.name in TWO_PENALTIES else (1,))
    specs = {BASELINE: plain}
    for name, analyser in analysers_of(group).items():
        for penalty in penalties:
            morphemes = MorphemeSpec(analysers={"*": analyser}, cross_penalty=penalty)
            shown = name if penalty == 1 else f"{name}, penalty {penalty:g}"
            changes = {"kind": "morpheme-bpe", "morphemes": morphemes}
            specs[shown] = plain.model_copy(update=changes)
    return specs


def train(group: Group, name: str, spec: TokenizerSpec) -> Artifact:
    """Train a tokenizer, unless that was done before; the artifact tells its CPU time."""
    path = group.folder / name.replace(", ", "-").replace(" ", "-")
    if (path / MANIFEST_NAME).is_file():
        return load_artifact(path, verify=False)
    task = TrainingTask(spec, group.documents, plan_sample(group.documents, spec))
    start, cpu_start = time.perf_counter(), cpu_seconds()
    tokenizer = METHODS[spec.kind](task)
    task.facts["cpu_seconds"] = cpu_seconds() - cpu_start
    task.facts["seconds"] = time.perf_counter() - start
    print(f"{group.name} {name}: {task.facts['cpu_seconds']:.1f} CPU-seconds", flush=True)
    return write_tokenizer(task, tokenizer, path)


def cpu_seconds() -> float:
    """Return the CPU time of this process and of those it started that are done."""
    return sum(os.times()[:4])


def references_of(group: Group) -> list[ReferenceTexts]:
    """Return what the tokenizers are judged by."""
    if group.name in ANALYSERS:
        tag = LANGUAGES[group.name].tag
        return [
            reference
            for name in ANALYSERS[group.name]
            for reference in analyse_texts(f"{tag}={name}", group.texts)
        ]
    return [
        read_reference(group.gold[name], name)
        for name in ("words", "aligned", "sentences")
        if name in group.gold
    ]


def compare(group: Group, options: argparse.Namespace) -> Found:
    """Train and judge the tokenizers of a group."""
    trained = {name: train(group, name, spec) for name, spec in specs_of(group, options).items()}
    references = references_of(group)
    comparison = compare_tokenizers(
        [load_subject(artifact.path, name) for name, artifact in trained.items()],
        group.texts,
        references,
        baseline=BASELINE,
        sentences=[*_shown_words(references), *_shown_lines(group)],
        rounds=0,
        num_resamples=NUM_RESAMPLES,
    )
    return comparison, trained, references


def _shown_words(references: Sequence[ReferenceTexts]) -> list[str]:
    """Return some words with boundaries to look at, as they stand in running text."""
    words = [
        f" {text.text}"
        for reference in references
        if reference.name == "aligned"
        for text in reference.texts
        if text.boundaries.positions
    ]
    return words[:: max(len(words) // NUM_WORDS, 1)][:NUM_WORDS]


def _shown_lines(group: Group) -> list[str]:
    """Return the first held-out line of each language."""
    first: dict[str, str] = {}
    for source, line in zip(group.texts.sources, group.texts.texts, strict=True):
        first.setdefault(source, line)
    return list(first.values())


def header_of(references: Sequence[str]) -> list[str]:
    """Return the columns of the table of groups that are judged by these references."""
    scores = [f"{name}: recall / precision / F1" for name in references]
    return ["language", "tokenizer", "tokens", *scores, "partial", "changed", "CPU s"]


def rows_of(group: Group, found: Comparison, trained: dict[str, Artifact]) -> Iterator[list[str]]:
    """Yield a row for each language and tokenizer."""
    for code in GROUPS[group.name]:
        for result in found.tokenizers:
            measures = result.by_source.get(code)
            tokens = f"{measures.relative_tokens:.3f}" if measures else ""
            partial = f"{measures.partial_share:.2%}" if measures else ""
            changed = str(result.round_trip.num_failures) if result.round_trip else ""
            scores = [_scores(result.boundaries[each.name]) for each in found.references]
            seconds = f"{trained[result.name].facts['cpu_seconds']:.0f}"
            yield [code, result.name, tokens, *scores, partial, changed, seconds]


def _scores(found: BoundaryResult) -> str:
    return " / ".join(f"{each.value:.3f}" for each in (found.recall, found.precision, found.f1))


def facts_of(group: Group, found: Comparison, trained: dict[str, Artifact]) -> str:
    """Say what the numbers of a group rest on."""
    facts = trained[BASELINE].facts
    parts = [f"{facts['sample_bytes'] / 1e6:.1f} MB of text, {facts['vocab_size']:,} entries"]
    for each in found.references:
        share = "" if each.judged_share is None else f", {each.judged_share:.0%} of words judged"
        parts.append(f"{each.name}: {each.num_texts:,}{share}")
    return f"- {group.name}: {'; '.join(parts)}"


def cuts_of(group: Group, found: Comparison, references: Sequence[ReferenceTexts]) -> str:
    """Show how each tokenizer cuts some words and lines; ⟨2⟩: two tokens share the character."""
    golds = {text.text: text for each in references if each.is_human for text in each.texts}
    width = max(len(result.name) for result in found.tokenizers)
    lines = [f"{group.name}"]
    for sentence in found.sentences:
        gold = golds.get(sentence.text.strip())
        if gold is not None:
            ends = [0, *gold.boundaries.positions, len(gold.text)]
            parts = [gold.text[start:end] for start, end in pairwise(ends)]
            lines.append(f"  {'gold':<{width}}  {'|'.join(parts)}")
        for name, cuts in sentence.cuts.items():
            shown = "|".join(_shown(sentence.text, cut) for cut in cuts).strip()
            lines.append(f"  {name:<{width}}  {shown}")
    return "\n".join(lines)


def _shown(text: str, cut: Cut) -> str:
    return text[cut.start : cut.end] + (f"⟨{cut.num_tokens}⟩" if cut.num_tokens > 1 else "")


@dataclass
class Report:
    """Tables of groups that are judged alike, and notes."""

    rows: dict[tuple[str, ...], list[list[str]]] = field(default_factory=dict)
    facts: list[str] = field(default_factory=list)
    cuts: list[str] = field(default_factory=list)
    numbers: dict[str, Any] = field(default_factory=dict)

    def add(self, group: Group, found: Comparison, trained: dict[str, Artifact]) -> None:
        """Add what was found in a group."""
        names = tuple(each.name for each in found.references)
        self.rows.setdefault(names, []).extend(rows_of(group, found, trained))
        self.facts.append(facts_of(group, found, trained))
        self.numbers[group.name] = {
            "comparison": found.model_dump(mode="json", exclude={"sentences"}),
            "training": {name: dict(artifact.facts) for name, artifact in trained.items()},
        }

    def markdown(self) -> str:
        """Return tables, what they rest on, and cuts to look at."""
        tables = [markdown_table(header_of(names), rows) for names, rows in self.rows.items()]
        cuts = "\n".join(["```text", *self.cuts, "```"])
        return "\n\n".join([*tables, LEGEND, "\n".join(self.facts), CUTS, cuts])


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--groups", nargs="+", choices=GROUPS, default=tuple(GROUPS))
    parser.add_argument("--penalties", nargs="+", type=float, help="default: 1; ces, eng: 1 0")
    parser.add_argument("--max-bytes", type=int, default=1_000_000, help="of one source of text")
    parser.add_argument("--max-vocab-size", type=int, default=16_000)
    parser.add_argument("--folder", type=Path, default=Path("runs/tokenizer-languages"))
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args()


def main() -> None:
    """Train what is missing, judge, write the result."""
    options = parse_arguments()
    report = Report()
    for name in options.groups:
        group = open_group(name, options)
        found, trained, references = compare(group, options)
        report.add(group, found, trained)
        report.cuts.append(cuts_of(group, found, references))
        print("\n".join(map("  ".join, rows_of(group, found, trained))), flush=True)
    command = " ".join(["python", *map(shlex.quote, sys.argv)])
    title = "Consistent morpheme-aware BPE in many languages"
    details = {"command": command, "groups": report.numbers}
    write_result("tokenizer-languages", title, report.markdown(), details, options.results)


if __name__ == "__main__":
    main()
