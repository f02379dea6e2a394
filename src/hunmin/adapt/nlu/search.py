"""A search over hyper-parameters with Optuna: TPE chooses, trials that fall behind are cut off.

Every trial is judged by exact match on the dev partition of the selection locales, the same that
chooses the epoch: no test utterance has a say, and no other locale's label.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hunmin.adapt.nlu.fit import Fit
from hunmin.adapt.nlu.prepare import prepare
from hunmin.adapt.nlu.spec import NluSpec
from hunmin.core.atomic import atomic_write_text
from hunmin.core.errors import TrainingDivergedError
from hunmin.core.extras import require
from hunmin.core.logs import get_logger
from hunmin.models.devices import pick_device

logger = get_logger(__name__)

SEARCH_FILE = "search.json"
_STUDY = "nlu"
_STARTUP_TRIALS = 5


@dataclass(frozen=True)
class Range:
    """Numbers to choose from.

    Args:
        low: The smallest.
        high: The largest.
        is_log: Whether ratios matter, not differences.
    """

    low: float
    high: float
    is_log: bool = False


Space = Mapping[str, Range | tuple[Any, ...]]
"""Key of `NluSpec` -> a range, or the values to choose from."""


def default_space(spec: NluSpec) -> dict[str, Range | tuple[Any, ...]]:
    """Return what is searched if nothing else is said: around the settings of a preset.

    Args:
        spec: The settings.

    Returns:
        The space.
    """
    return {
        "learning_rate": Range(spec.learning_rate / 5, spec.learning_rate * 5, is_log=True),
        "weight_decay": Range(1e-3, 0.3, is_log=True),
        "head_dropout": Range(0.0, 0.5),
        "slot_weight": Range(0.5, 8.0, is_log=True),
        "pooling": ("first", "mean", "max"),
        "head_layers": (0, 1),
    }


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Args:
        settings: The best values by key.
        exact_match: Of the best trial on the dev partition, in [0, 1].
        num_trials: Trials that were run in all, those cut off included.
    """

    settings: dict[str, Any]
    exact_match: float
    num_trials: int


def search_settings(
    spec: NluSpec,
    body: Path,
    folder: Path,
    *,
    num_trials: int = 20,
    space: Space | None = None,
    device: str | None = None,
) -> SearchResult:
    """Try settings and return the best.

    Args:
        spec: Data and the settings that stay.
        body: Folder of the body.
        folder: Where the study lies; the same call goes on with it.
        num_trials: Trials to run in all, those of earlier calls included.
        space: What is searched; `default_space` by default.
        device: Where to train.

    Returns:
        The best settings; search.json has every trial.

    Raises:
        MissingExtraError: Optuna is not installed.
        InputError: Data or body cannot be used.
        TrainingDivergedError: Every trial diverged.
    """
    optuna = require("optuna", extra="search")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        study_name=_STUDY,
        storage=f"sqlite:///{folder / 'study.db'}",
        load_if_exists=True,
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=spec.seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=_STARTUP_TRIALS),
    )
    space = space or default_space(spec)

    def objective(trial: Any) -> float:
        return _run_trial(trial, spec, body, folder, space, device)

    left = max(0, num_trials - len(study.trials))
    study.optimize(objective, n_trials=left, catch=(TrainingDivergedError,))
    return _finish(study, folder)


def _run_trial(
    trial: Any, spec: NluSpec, body: Path, folder: Path, space: Space, device: str | None
) -> float:
    optuna = require("optuna", extra="search")
    chosen = {name: _suggest(trial, name, values) for name, values in space.items()}
    # The test has no say, so that data without a test partition will do.
    no_test = {"test_partition": "dev", "test_locales": ()}
    tried = NluSpec.model_validate({**spec.model_dump(), **chosen, **no_test})
    place = pick_device(device)
    task = prepare(tried, body, place).task()

    def report(epoch: int, scores: Mapping[str, float]) -> None:
        trial.report(scores["exact_match"], epoch)
        if trial.should_prune():
            raise optuna.TrialPruned

    place_of_run = folder / f"trial-{trial.number}"
    fit = Fit(tried, task, place_of_run, str(trial.number), place, on_evaluation=report)
    state = fit.run()
    fit.forget_checkpoint()
    logger.info("trial %d: exact match %.4f, %s", trial.number, state.best["exact_match"], chosen)
    return state.best["exact_match"]


def _suggest(trial: Any, name: str, values: Range | tuple[Any, ...]) -> Any:
    if isinstance(values, Range):
        return trial.suggest_float(name, values.low, values.high, log=values.is_log)
    return trial.suggest_categorical(name, list(values))


def _finish(study: Any, folder: Path) -> SearchResult:
    trials = [
        {"number": one.number, "state": one.state.name, "value": one.value, "settings": one.params}
        for one in study.trials
    ]
    if not any(one["state"] == "COMPLETE" for one in trials):
        raise TrainingDivergedError(
            "no trial came to its end",
            where=folder,
            given=f"{len(trials)} trials",
            hint="lower nlu.learning_rate, around which the search looks",
        )
    result = SearchResult(dict(study.best_params), float(study.best_value), len(trials))
    best = {"settings": result.settings, "exact_match": result.exact_match}
    text = json.dumps({"best": best, "trials": trials}, ensure_ascii=False, indent=2)
    atomic_write_text(folder / SEARCH_FILE, text + "\n")
    return result
