"""A search tries settings, keeps its study, and never looks at the test partition."""

import json
from pathlib import Path

import pytest

from hunmin.adapt.nlu.search import SEARCH_FILE, Range, search_settings
from hunmin.adapt.nlu.spec import NluSpec
from hunmin.core.errors import TrainingDivergedError

pytest.importorskip("optuna")


def settings(data: Path, **keys: object) -> NluSpec:
    small = {"epochs": 2, "batch_size": 8, "precision": "fp32", "threads": 1, "pooling": "mean"}
    return NluSpec.model_validate({"data": (data,), "train_locales": ("en",), **small, **keys})


def test_the_better_setting_is_found_and_a_study_goes_on(
    data_folder: Path, body_folder: Path, tmp_path: Path
) -> None:
    space = {"learning_rate": (1e-8, 1e-2)}
    # No utterance is in this partition: the samples of hunmin have none to test, either.
    spec = settings(data_folder, epochs=6, test_partition="absent")
    first = search_settings(spec, body_folder, tmp_path, num_trials=3, space=space)
    again = search_settings(spec, body_folder, tmp_path, num_trials=4, space=space)
    assert (first.num_trials, again.num_trials) == (3, 4)
    assert again.settings == {"learning_rate": 1e-2}
    said = json.loads((tmp_path / SEARCH_FILE).read_text())
    assert len(said["trials"]) == 4
    finished = [one["value"] for one in said["trials"] if one["state"] == "COMPLETE"]
    assert said["best"]["exact_match"] == max(finished) > 0


def test_a_search_in_which_all_diverges_says_so(
    data_folder: Path, body_folder: Path, tmp_path: Path
) -> None:
    space = {"learning_rate": Range(1e34, 1e35)}
    with pytest.raises(TrainingDivergedError, match="no trial came to its end"):
        search_settings(
            settings(data_folder, warmup=0.0), body_folder, tmp_path, num_trials=1, space=space
        )
