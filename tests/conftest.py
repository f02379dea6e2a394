"""What all tests share."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]

# A shell starts jobs in the background with Ctrl-C ignored, and their children inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data that lies beside the checkout; skips the test where it is absent.

    HUNMIN_SHARED_DATA names another folder; HUNMIN_REQUIRE_SHARED_DATA=1 turns the skip into a
    failure, so that continuous integration cannot pass without the data.
    """
    default = REPOSITORY.parent / "shared" / "data"
    folder = Path(os.environ.get("HUNMIN_SHARED_DATA") or default)
    if folder.is_dir():
        return folder
    reason = f"no real data at {folder}; HUNMIN_SHARED_DATA can name its folder"
    if os.environ.get("HUNMIN_REQUIRE_SHARED_DATA") == "1":
        pytest.fail(f"{reason} (HUNMIN_REQUIRE_SHARED_DATA=1 makes this a failure)")
    pytest.skip(reason)


@pytest.fixture(autouse=True)
def _one_torch_thread() -> None:
    """One thread a worker: results repeat exactly and workers do not fight for cores."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() != 1:
        torch.set_num_threads(1)
