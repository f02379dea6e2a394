"""The script for sbatch: what it says, whether bash reads it, and what it does on two nodes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.slurm import Cluster

from hunmin.core.errors import InputError
from hunmin.parallel.launch import LaunchRequest, SlurmRequest, TrainCommand, slurm_script

Make = Callable[..., LaunchRequest]
SLURM = SlurmRequest(python=sys.executable)


def directives(script: str) -> list[str]:
    return [li.removeprefix("#SBATCH ") for li in script.splitlines() if li.startswith("#SBATCH ")]


def test_what_is_asked_for_is_what_sbatch_is_told(make_request: Make) -> None:
    request = make_request(seconds=86_400 * 2, cpus_per_node=96, memory="900G", grace=120)
    slurm = SlurmRequest(
        python="/shared/bin/python",
        folder="/shared/our work",
        partition="gpu",
        account="lab",
        directives=("--qos=high",),
    )
    assert directives(slurm_script(request, slurm)) == [
        "--job-name=ko",
        "--nodes=4",
        "--ntasks-per-node=1",
        "--gpus-per-node=8",
        "--cpus-per-task=96",
        "--mem=900G",
        "--time=2-00:00:00",
        "--partition=gpu",
        "--account=lab",
        '--chdir="/shared/our work"',
        "--output=%x-%j.log",
        "--open-mode=append",
        "--signal=B:USR1@120",
        "--requeue",
        "--qos=high",
    ]


def test_without_a_number_of_cores_the_job_has_whole_nodes(make_request: Make) -> None:
    script = slurm_script(make_request(), SLURM)
    assert {"--exclusive", "--mem=0"} <= set(directives(script))
    assert "--cpu-bind=none" in script
    assert "--cpus-per-task=12" in slurm_script(make_request(cpus_per_node=12), SLURM)


def test_an_elastic_job_outlives_a_node(make_request: Make) -> None:
    script = slurm_script(make_request("2:4"), SLURM)
    assert {"--nodes=2-4", "--no-kill"} <= set(directives(script))
    assert "--no-kill --kill-on-bad-exit=0" in script
    assert '--nnodes "2:$SLURM_JOB_NUM_NODES"' in script
    fixed = slurm_script(make_request("4"), SLURM)
    assert "--kill-on-bad-exit=1" in fixed
    assert '--nnodes "$SLURM_JOB_NUM_NODES"' in fixed
    assert "--no-kill" not in fixed


def test_a_cluster_without_gpus_is_asked_for_none(make_request: Make) -> None:
    script = slurm_script(make_request(gpus_per_node=0, processes_per_node=2), SLURM)
    assert "gpus" not in script
    assert "--nproc-per-node 2" in script


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"partition": "gpu big"}, "--partition"),
        ({"account": "lab\n#SBATCH --qos=free"}, "--account"),
        ({"directives": ("qos=high",)}, "--directive: not an option"),
        ({"directives": ("--qos=high\n--x",)}, "--directive: not an option"),
        ({"directives": ("--nodes=9",)}, "--directive: the script decides"),
        ({"directives": ("--signal=TERM@5",)}, "--directive: the script decides"),
    ],
)
def test_values_that_sbatch_would_misread_are_refused(
    changes: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        SlurmRequest(python="python", **changes)  # type: ignore[arg-type]


def test_names_amounts_and_folders_are_words_for_sbatch(make_request: Make) -> None:
    with pytest.raises(InputError, match="--name"):
        slurm_script(make_request(name="한국어"), SLURM)
    with pytest.raises(InputError, match="--memory"):
        slurm_script(make_request(memory="1 GB"), SLURM)
    with pytest.raises(InputError, match="folder of the job"):
        slurm_script(make_request(), SlurmRequest(python="python", folder='/a"b'))


AWKWARD = TrainCommand(
    "our recipes/it's.yaml", ("train.duration='5 steps'", "name=$HOME `id`"), "/our runs/$x"
)


@pytest.fixture(params=["plain", "elastic", "awkward", "own"])
def script(request: pytest.FixtureRequest, make_request: Make) -> str:
    made = {
        "plain": lambda: slurm_script(make_request(), SLURM),
        "elastic": lambda: slurm_script(make_request("1:4", seconds=7200), SLURM),
        "awkward": lambda: slurm_script(
            make_request(command=AWKWARD, environment=(("A", "$(id) 'b'"),)),
            SlurmRequest(python="/our python/bin/python", folder="/our work", requeue=False),
        ),
        "own": lambda: slurm_script(
            make_request(cpus_per_node=8, interface="ib0"),
            SlurmRequest(python="python", setup=("module load cuda", "ulimit -n 65536")),
        ),
    }
    return made[request.param]()


def test_bash_reads_the_script(script: str, tmp_path: Path) -> None:
    path = tmp_path / "train.sbatch"
    path.write_text(script, encoding="utf-8")
    subprocess.run(["bash", "-n", str(path)], check=True)


SHELLCHECK = shutil.which(
    "shellcheck", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
)


@pytest.mark.skipif(SHELLCHECK is None, reason="no shellcheck on this machine")
def test_shellcheck_has_nothing_to_say(script: str, tmp_path: Path) -> None:
    path = tmp_path / "train.sbatch"
    path.write_text(script, encoding="utf-8")
    # SC2016 asks whether a $ in single quotes, here one of the user's, is meant.
    command = [str(SHELLCHECK), "--exclude=SC2016", str(path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def two_nodes(
    make_request: Make, folder: Path, nodes: str = "2", **changes: object
) -> LaunchRequest:
    command = TrainCommand("it's a recipe.yaml", ("model.size=1M",), f"{folder}/a run")
    quick = (("last_call_timeout", "1"), ("join_timeout", "90"))
    given = {"gpus_per_node": 0, "command": command, "rendezvous": quick, **changes}
    return make_request(nodes, **given)


def test_ranks_of_two_nodes_meet(make_request: Make, tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, "meets")
    request = two_nodes(
        make_request, tmp_path, processes_per_node=2, environment=(("GREETING", "annyeong $x"),)
    )
    with cluster.submit(slurm_script(request, SLURM)) as job:
        assert job.wait(timeout=110) == 0, cluster.logs()
    ranks = cluster.ranks()
    assert [rank["RANK"] for rank in ranks] == ["0", "1", "2", "3"]
    assert [rank["LOCAL_RANK"] for rank in ranks] == ["0", "1", "0", "1"]
    assert [rank["GROUP_RANK"] for rank in ranks] == ["0", "0", "1", "1"]
    for rank in ranks:
        assert rank["argv"] == [
            "train", "it's a recipe.yaml", "model.size=1M", "--run-dir", f"{tmp_path}/a run"
        ]  # fmt: skip
        assert rank["MASTER_ADDR"] in ("localhost", "127.0.0.1"), "the name Slurm gives a node"
        assert rank["OMP_NUM_THREADS"] == "2", "four cores for two ranks"
        assert rank["GREETING"] == "annyeong $x"
    logs = [(tmp_path / "a run" / "logs" / f"node-{n}.log").read_text("utf-8") for n in (0, 1)]
    assert sorted(log.count("was here") for log in logs) == [2, 2]
    assert not [call for call in cluster.calls() if "requeue" in call]


def test_when_time_is_up_ranks_save_and_the_job_is_queued_again(
    make_request: Make, tmp_path: Path
) -> None:
    cluster = Cluster(tmp_path, "saves")
    request = two_nodes(make_request, tmp_path, processes_per_node=1)
    with cluster.submit(slurm_script(request, SLURM)) as job:
        cluster.wait_for("ready-0", "ready-1")
        job.send_signal(signal.SIGUSR1)
        assert job.wait(timeout=60) != 0
        assert (tmp_path / "saved-0").exists()
        assert (tmp_path / "saved-1").exists()
    job_id = cluster.environment["SLURM_JOB_ID"]
    assert f"scancel --signal=TERM {job_id}" in cluster.calls()
    assert cluster.calls()[-1] == f"scontrol requeue {job_id}"


def test_a_node_that_comes_back_is_taken_in(make_request: Make, tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, "grows")
    cluster.environment["SECOND_NODE_WAITS_FOR"] = str(tmp_path / "alone")
    request = two_nodes(make_request, tmp_path, "1:2", processes_per_node=1)
    with cluster.submit(slurm_script(request, SLURM)) as job:
        cluster.wait_for("alone", "together-0", "together-1")
        assert job.wait(timeout=60) == 0, cluster.logs()


FAILS = "#!/bin/sh\nexit 3\n"
ENDS_WELL = '#!/bin/sh\ntouch "$CLUSTER/started"\nsleep 1\n'
FAILS_LATE = '#!/bin/sh\ntouch "$CLUSTER/started"\nsleep 1\nexit 3\n'


def test_a_run_that_fails_is_not_queued_again(make_request: Make, tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, "saves")
    cluster.replace("srun", FAILS)
    with cluster.submit(slurm_script(two_nodes(make_request, tmp_path), SLURM)) as job:
        assert job.wait(timeout=60) == 3
    assert not [call for call in cluster.calls() if "requeue" in call]


@pytest.mark.parametrize(
    ("srun", "requeue", "queued"),
    [(ENDS_WELL, True, False), (FAILS_LATE, True, True), (FAILS_LATE, False, False)],
    ids=["done", "unfinished", "unfinished, not wanted"],
)
def test_only_an_unfinished_run_is_queued_again(
    make_request: Make, tmp_path: Path, srun: str, requeue: bool, queued: bool
) -> None:
    cluster = Cluster(tmp_path, "saves")
    cluster.replace("srun", srun)
    cluster.replace("scancel", "#!/bin/sh\n")
    slurm = SlurmRequest(python=sys.executable, requeue=requeue)
    with cluster.submit(slurm_script(two_nodes(make_request, tmp_path), slurm)) as job:
        cluster.wait_for("started")
        job.send_signal(signal.SIGUSR1)
        job.wait(timeout=60)
    assert any("requeue" in call for call in cluster.calls()) == queued
