"""The table of the ablations in the form of the published one: relative changes of error.

Errors are means over languages: with labels of all languages over all of them, with English labels
over those without labels (the epoch is chosen on English alone). Intervals resample utterances (the
same ones for all arms) and seeds, 95 %.

    python benchmarks/assistant_ablations_report.py
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from assistant_ablations import ARMS, FINETUNING, FOLDER, NLU, SHARED, Run
from assistant_ablations_plot import draw_changes, draw_languages
from harness import RESULTS, markdown_table, write_result

from hunmin.adapt.nlu.massive_files import read_folder
from hunmin.adapt.nlu.predictions import read_predictions
from hunmin.adapt.nlu.report import REPORT_NAME, NluReport
from hunmin.adapt.nlu.scores import count
from hunmin.core.artifact import load_artifact
from hunmin.core.estimates import Estimate, Floats, estimate, resampled_sums
from hunmin.core.hashing import seed_from

NUM_RESAMPLES = 1000
_UTTERANCES, _INTENTS, _FOUND, _REFERENCE, _PREDICTED, _EXACT = range(6)
SCORES = ("intent", "slots", "exact match")
LABELS = {"all": "labels in all languages", "english": "English labels only"}
ENGLISH = "en"


@dataclass(frozen=True)
class Comparison:
    """A row of the table.

    Args:
        question: The published ablation it belongs to.
        arm: What is compared.
        with_arm: What it is compared with.
        published: Relative changes of intent and slot error in the paper, in percent.
    """

    question: str
    arm: str
    with_arm: str
    published: tuple[float, float] | None = None


COMPARISONS = (
    Comparison("a", "teacher, stage 2", "teacher", (-3.86, -7.01)),
    Comparison("a", "student, stepwise", "teacher", (-2.88, -7.69)),
    Comparison("a", "student, direct", "student of the stage-1 teacher"),
    Comparison("b", "student, stepwise", "student, direct"),
    Comparison("c", "student, direct", "student without a teacher"),
    Comparison("c", "student, direct, own weights", "student without a teacher"),
    *(
        Comparison("d", name, "masked")
        for name in ("causal", "prefix", "spans", "deshuffle", "infill", "denoise")
    ),
)


class Errors:
    """Errors of all arms on the same resamples of utterances and seeds.

    Args:
        folder: The runs.
        seeds: Those that are finished.
        labels: Which fine-tuning.
    """

    def __init__(self, folder: Path, seeds: list[int], labels: str) -> None:
        self.arms = [name for name, arm in ARMS.items() if labels in arm.labels]
        self.seeds = seeds
        counts = _counts(folder, seeds, labels, self.arms)
        random = np.random.default_rng(0)
        drawn = random.integers(len(seeds), size=(NUM_RESAMPLES, len(seeds)))
        self._drawn = np.vstack([np.arange(len(seeds)), drawn])
        by_locale = [self._errors_of(values, name) for name, values in counts.items()]
        # [resamples, arms, seeds, scores]; the first resample is what was measured.
        self._errors: Floats = np.nanmean(np.stack(by_locale), axis=0)

    def _errors_of(self, values: Floats, locale: str) -> Floats:
        rows, *shape = values.shape
        flat = values.reshape(rows, -1)
        sums = [flat.sum(0), *resampled_sums(flat, NUM_RESAMPLES, seed_from("ablations", locale))]
        return _errors(np.vstack(sums).reshape(-1, *shape))

    def by_seed(self, arm: str) -> Floats:
        """Return errors, shape (seeds, scores)."""
        return self._errors[0, self.arms.index(arm)]

    def _resampled(self, arm: str) -> Floats:
        errors = self._errors[:, self.arms.index(arm)]
        return np.take_along_axis(errors, self._drawn[:, :, None], axis=1).mean(1)

    def error(self, arm: str) -> list[Estimate]:
        """Return the mean error over seeds, for each score."""
        return [estimate(column, has_interval=True) for column in self._resampled(arm).T]

    def change(self, arm: str, with_arm: str) -> list[Estimate]:
        """Return how the error differs from that of another arm, relative to it, in percent."""
        ratios = 100 * (self._resampled(arm) / self._resampled(with_arm) - 1)
        return [estimate(column, has_interval=True) for column in ratios.T]


def _errors(sums: Floats) -> Floats:
    utterances = sums[..., _UTTERANCES]
    slots = sums[..., _REFERENCE] + sums[..., _PREDICTED]
    nothing = np.full(slots.shape, np.nan)
    f1 = np.divide(2 * sums[..., _FOUND], slots, out=nothing, where=slots > 0)
    right = (sums[..., _INTENTS] / utterances, f1, sums[..., _EXACT] / utterances)
    return 1 - np.stack(right, axis=-1)


def _counts(folder: Path, seeds: list[int], labels: str, arms: list[str]) -> dict[str, Floats]:
    """Return counts by locale, shape (utterances, arms, seeds, 6)."""
    by_locale = read_folder(folder / "corpus" / "massive", partitions=("test",))
    if labels == "english":
        del by_locale[ENGLISH]
    return {
        locale: np.stack([_of_arm(folder, seeds, name, labels, made) for name in arms], axis=1)
        for locale, made in by_locale.items()
    }


def _of_arm(folder: Path, seeds: list[int], name: str, labels: str, made: list[Any]) -> Floats:
    files = [
        Run(folder, seed, 1).nlu(name, labels) / "predictions" / f"{made[0].locale}.jsonl"
        for seed in seeds
    ]
    return np.stack([count(made, read_predictions(file)) for file in files], axis=1)


def error_rows(errors: dict[str, Errors]) -> list[list[str]]:
    """Return the table of errors: an arm a row."""
    return [
        [
            arm,
            *(
                cell
                for of in errors.values()
                for cell in (map(_share, of.error(arm)) if arm in of.arms else [""] * len(SCORES))
            ),
        ]
        for arm in ARMS
    ]


def change_rows(errors: dict[str, Errors]) -> list[list[str]]:
    """Return the table of relative changes: a comparison a row."""
    rows = []
    for each in COMPARISONS:
        cells = [
            cell
            for of in errors.values()
            for cell in (
                map(_percent, of.change(each.arm, each.with_arm)[:2])
                if each.arm in of.arms
                else [""] * 2
            )
        ]
        published = "" if each.published is None else "{:+.2f} / {:+.2f}".format(*each.published)
        rows.append([each.question, f"{each.arm} / {each.with_arm}", *cells, published])
    return rows


def _share(value: Estimate) -> str:
    return f"{100 * value.value:.1f}"


def _percent(value: Estimate) -> str:
    return f"{value.value:+.1f} [{value.low:+.1f}, {value.high:+.1f}]"


def details_of(folder: Path, seeds: list[int], errors: dict[str, Errors]) -> dict[str, Any]:
    """Return everything that was measured, as JSON values."""
    return {
        "command": "benchmarks/assistant_ablations.py, benchmarks/assistant_ablations_report.py",
        "seeds": seeds,
        "settings": {"shared": SHARED, "nlu": NLU, "finetuning": FINETUNING},
        "arms": {
            arm: {
                "recipe": [ARMS[arm].stage, ARMS[arm].parent, ARMS[arm].settings],
                "parameters": load_artifact(Run(folder, seeds[0], 1).model(arm)).facts[
                    "parameters"
                ],
                "errors_by_seed": {
                    labels: of.by_seed(arm).tolist()
                    for labels, of in errors.items()
                    if arm in of.arms
                },
            }
            for arm in ARMS
        },
        "changes": [
            {
                "question": each.question,
                "arm": each.arm,
                "with": each.with_arm,
                "published": each.published,
                **{
                    labels: dict(
                        zip(
                            SCORES,
                            (found.model_dump() for found in of.change(each.arm, each.with_arm)),
                            strict=True,
                        )
                    )
                    for labels, of in errors.items()
                    if each.arm in of.arms
                },
            }
            for each in COMPARISONS
        ],
        "languages": language_scores(folder, seeds),
    }


def language_scores(folder: Path, seeds: list[int]) -> dict[str, Any]:
    """Return intent accuracy by language: zero-shot, its baselines, and labels of the language."""
    arm = "student, stepwise"
    reports = {
        labels: [
            NluReport.model_validate_json(
                (Run(folder, seed, 1).nlu(arm, labels) / REPORT_NAME).read_text(encoding="utf-8")
            )
            for seed in seeds
        ]
        for labels in FINETUNING
    }

    def mean(systems: list[Any], key: str = "intent_accuracy") -> dict[str, float]:
        names = systems[0].locales
        return {
            name: float(np.mean([getattr(each.locales[name], key).value for each in systems]))
            for name in names
        }

    english, every = reports["english"], reports["all"]
    return {
        "arm": arm,
        "zero-shot": mean([each.scores for each in english]),
        "linear model of n-grams": mean([each.linear for each in english]),
        "most frequent intent": mean([each.constant for each in english]),
        "labels of the language": mean([each.scores for each in every]),
        "zero-shot exact match": mean([each.scores for each in english], "exact_match"),
        "exact match, labels of the language": mean([each.scores for each in every], "exact_match"),
    }


def language_rows(languages: dict[str, Any]) -> list[list[str]]:
    """Return the table by language, and its mean over languages without labels."""
    columns = [value for value in languages.values() if isinstance(value, dict)]
    names = sorted(columns[0], key=lambda name: (name != ENGLISH, -columns[0][name]))
    rows = [[name, *(f"{100 * column[name]:.1f}" for column in columns)] for name in names]
    others = [name for name in names if name != ENGLISH]
    means = [f"{100 * np.mean([column[name] for name in others]):.1f}" for column in columns]
    return [*rows, [f"mean of {len(others)} without {ENGLISH}", *means]]


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args()


def main() -> None:
    """Read predictions, write tables and plots."""
    options = parse_arguments()
    errors = {labels: Errors(options.folder, options.seeds, labels) for labels in LABELS}
    details = details_of(options.folder, options.seeds, errors)
    changes = ["", "relative change of error, %"]
    changes += [f"{score}, {title}" for title in LABELS.values() for score in SCORES[:2]]
    arms = ["error, %", *(f"{score}, {title}" for title in LABELS.values() for score in SCORES)]
    languages = [key for key, value in details["languages"].items() if isinstance(value, dict)]
    table = "\n\n".join(
        (
            markdown_table([*changes, "published, intent / slots"], change_rows(errors)),
            markdown_table(arms, error_rows(errors)),
            markdown_table(["language", *languages], language_rows(details["languages"])),
        )
    )
    title = "Ablations of teachers and students, labels of all languages and of English alone"
    path = write_result("assistant-ablations", title, table, details, options.results)
    draw_changes(details["changes"], path.with_suffix(""))
    draw_languages(details["languages"], path.with_name(f"{path.stem}-languages"))


if __name__ == "__main__":
    main()
