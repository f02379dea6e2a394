"""`torchrun -m hunmin` is all it takes: the first rank prepares, all train, the first judges."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.recipes import ENVIRONMENT, hunmin, read_losses, tiny_recipe


def torchrun(ranks: int, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    return subprocess.run(
        [*launcher, "--nproc-per-node", str(ranks), "-m", "hunmin", *map(str, arguments)],
        env={**ENVIRONMENT, "GLOO_SOCKET_IFNAME": "lo"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.mark.slow
def test_every_stage_on_two_ranks(tmp_path: Path) -> None:
    recipe = tiny_recipe(tmp_path, precision="fp32")
    together = torchrun(2, "run", recipe, "--run-dir", tmp_path / "two")
    assert together.returncode == 0, together.stderr
    assert "2 ranks, 2 a node, partition groups of 1, 2 copies, two-hop" in together.stderr
    alone = hunmin("train", recipe, "--run-dir", tmp_path / "one")
    assert alone.returncode == 0, alone.stderr
    assert read_losses(tmp_path / "two") == pytest.approx(read_losses(tmp_path / "one"), rel=1e-4)
    for made in ("corpus", "tokenizer", "data", "model", "report", "samples"):
        assert (tmp_path / "two" / made / "manifest.json").is_file()
    # The same command once more: nothing to do, and nobody waits for anybody.
    again = torchrun(2, "run", recipe, "--run-dir", tmp_path / "two")
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("up to date, skipped") == 6


def test_an_error_of_the_first_rank_ends_all(tmp_path: Path) -> None:
    missing = torchrun(2, "train", tmp_path / "nowhere.yaml")
    assert missing.returncode != 0
    assert "nowhere.yaml" in missing.stderr
    assert "[rank 1] error:" in missing.stderr
    assert os.listdir(tmp_path) == []  # noqa: PTH208
