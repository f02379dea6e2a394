"""Manifests: what the API server would check, what they start, and names that are refused."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.slurm import STAND_INS

from hunmin.core.errors import InputError
from hunmin.parallel.launch import (
    RECIPE_PATH,
    KubernetesRequest,
    LaunchRequest,
    TrainCommand,
    Volume,
    kubernetes_manifests,
    manifests_yaml,
)

Make = Callable[..., LaunchRequest]
SCHEMAS = Path(__file__).parent / "schemas"
RECIPE = "name: ko\ntrain: {}\n"
SHARED = (Volume("shared", "/shared"),)
COMMAND = TrainCommand(RECIPE_PATH, (), "/shared/runs/ko")


def kubernetes(**changes: Any) -> KubernetesRequest:
    given = {"image": "registry.example.org/hunmin:0.1", "volumes": SHARED, "recipe_text": RECIPE}
    return KubernetesRequest(**{**given, **changes})


def check_schema(manifest: dict[str, Any]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    referencing = pytest.importorskip("referencing")
    files = {"ConfigMap": "core", "PyTorchJob": "pytorchjob", "TrainJob": "trainjob"}
    schemas = {
        name: yaml.safe_load((SCHEMAS / f"{name}.yaml").read_text("utf-8"))
        for name in files.values()
    }
    core = referencing.Resource.from_contents(schemas["core"])
    registry = referencing.Registry().with_resource("urn:core", core)
    schema = schemas[files[manifest["kind"]]]
    jsonschema.Draft202012Validator(schema, registry=registry).validate(manifest)


FULL = {
    "cpus_per_node": 96,
    "memory": "900Gi",
    "seconds": 7200,
    "interface": "eth0",
    "environment": (("GREETING", "$(RANK) annyeong"),),
}


@pytest.mark.parametrize("flavour", ["pytorchjob", "trainjob"])
@pytest.mark.parametrize("changes", [{}, FULL, {"gpus_per_node": 0, "processes_per_node": 2}])
def test_manifests_are_what_the_api_server_takes(
    make_request: Make, flavour: str, changes: dict[str, Any]
) -> None:
    request = make_request(command=COMMAND, **changes)
    asked = kubernetes(flavour=flavour, namespace="team", queue="gpu", shared_memory="64Gi")
    for manifest in yaml.safe_load_all(manifests_yaml(kubernetes_manifests(request, asked))):
        check_schema(manifest)
        assert manifest["metadata"]["namespace"] == "team"


def test_the_schema_would_notice_a_wrong_key(make_request: Make) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    _, job = kubernetes_manifests(make_request(command=COMMAND), kubernetes())
    job["spec"]["elasticPolicy"]["minReplica"] = 1
    with pytest.raises(jsonschema.ValidationError, match="minReplica"):
        check_schema(job)


def test_yaml_is_what_was_meant_and_the_recipe_stays_readable(make_request: Make) -> None:
    manifests = kubernetes_manifests(make_request(command=COMMAND), kubernetes())
    text = manifests_yaml(manifests)
    assert list(yaml.safe_load_all(text)) == manifests
    assert "  recipe.yaml: |\n    name: ko\n" in text
    assert "&id" not in text


def test_the_job_asks_for_what_was_asked_for(make_request: Make) -> None:
    request = make_request("2:4", command=COMMAND, **FULL)
    _, job = kubernetes_manifests(request, kubernetes(queue="gpu"))
    spec = job["spec"]
    worker = spec["pytorchReplicaSpecs"]["Worker"]
    pod = worker["template"]["spec"]
    container = pod["containers"][0]
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpu"
    assert (worker["replicas"], worker["restartPolicy"]) == (4, "OnFailure")
    assert (spec["elasticPolicy"]["minReplicas"], spec["elasticPolicy"]["maxReplicas"]) == (2, 4)
    assert spec["runPolicy"]["activeDeadlineSeconds"] == 7200
    assert pod["terminationGracePeriodSeconds"] == 300
    assert container["resources"]["limits"] == {"nvidia.com/gpu": "8", "memory": "900Gi"}
    assert container["resources"]["requests"]["cpu"] == "96"
    environment = {item["name"]: item.get("value") for item in container["env"]}
    assert environment["OMP_NUM_THREADS"] == "12"
    assert environment["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] == "1"
    assert environment["GREETING"] == "$$(RANK) annyeong", "not to be expanded"


@pytest.mark.parametrize("flavour", ["pytorchjob", "trainjob"])
def test_volumes_and_mounts_belong_together(make_request: Make, flavour: str) -> None:
    both = (Volume("shared", "/shared"), Volume("texts.v2", "/data/texts"))
    asked = kubernetes(volumes=both, flavour=flavour, shared_memory="64Gi")
    _, job = kubernetes_manifests(make_request(command=COMMAND), asked)
    if flavour == "pytorchjob":
        pod = job["spec"]["pytorchReplicaSpecs"]["Worker"]["template"]["spec"]
    else:
        patch = job["spec"]["runtimePatches"][0]["trainingRuntimeSpec"]["template"]["spec"]
        pod = patch["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]
    mounts = {m["name"]: m["mountPath"] for m in pod["containers"][0]["volumeMounts"]}
    volumes = {v["name"]: v for v in pod["volumes"]}
    assert set(mounts) == set(volumes)
    assert volumes["shared-memory"]["emptyDir"] == {"medium": "Memory", "sizeLimit": "64Gi"}
    assert mounts["shared-memory"] == "/dev/shm"
    assert f"{mounts['recipe']}/recipe.yaml" == RECIPE_PATH
    assert volumes["shared-1"]["persistentVolumeClaim"]["claimName"] == "texts.v2"
    assert mounts["shared-1"] == "/data/texts"


def pod_environment(items: list[dict[str, Any]]) -> dict[str, str]:
    """Return the variables of a pod on this machine."""
    return {item["name"]: item.get("value", "127.0.0.1").replace("$$(", "$(") for item in items}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port: int = probe.getsockname()[1]
        return port


def expand(word: str, variables: dict[str, str]) -> str:
    """Replace $(NAME) as Kubernetes does."""
    return re.sub(r"\$\((\w+)\)", lambda match: variables.get(match[1], match[0]), word)


def run_pods(
    folder: Path, command: list[str], variables: dict[str, str], own: list[dict[str, str]]
) -> list[dict[str, Any]]:
    """Run the command of a container once for each pod, and return what its ranks say."""
    package = folder / "packages" / "hunmin"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(STAND_INS["tells"], encoding="utf-8")
    programs = folder / "bin"
    programs.mkdir()
    (programs / "torchrun").write_text(
        f'#!/bin/sh\nexec "{sys.executable}" -m torch.distributed.run "$@"\n', encoding="utf-8"
    )
    (programs / "torchrun").chmod(0o755)
    there = {
        **os.environ,
        "CLUSTER": str(folder),
        "PYTHONPATH": str(package.parent),
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
        **variables,
    }
    pods = [
        subprocess.Popen(
            [expand(word, variables) for word in command],
            env={**there, **mine},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for mine in own
    ]
    try:
        for pod in pods:
            output, _ = pod.communicate(timeout=110)
            assert pod.returncode == 0, output[-4000:]
    finally:
        for pod in pods:
            pod.terminate()
            pod.communicate()
    return [json.loads(file.read_text("utf-8")) for file in sorted(folder.glob("rank-*.json"))]


@pytest.fixture
def small_request(make_request: Make, tmp_path: Path) -> LaunchRequest:
    return make_request(
        "2",
        command=TrainCommand(RECIPE_PATH, (), f"{tmp_path}/runs/ko"),
        gpus_per_node=0,
        processes_per_node=1,
        environment=(("GREETING", "hello $(RANK)"),),
        rendezvous=(("join_timeout", "90"),),
    )


def check_ranks(ranks: list[dict[str, Any]], folder: Path) -> None:
    assert [rank["GROUP_RANK"] for rank in ranks] == ["0", "1"]
    assert {rank["WORLD_SIZE"] for rank in ranks} == {"2"}
    assert {rank["cwd"] for rank in ranks} == {str(folder)}
    assert {rank["GREETING"] for rank in ranks} == {"hello $(RANK)"}
    assert ranks[0]["argv"] == ["train", RECIPE_PATH, "--run-dir", f"{folder}/runs/ko"]


def test_pods_of_a_trainjob_meet(small_request: LaunchRequest, tmp_path: Path) -> None:
    """The operator gives every pod its number and the address of the first one."""
    volumes = (Volume("shared", str(tmp_path)),)
    asked = kubernetes(volumes=volumes, flavour="trainjob")
    trainer = kubernetes_manifests(small_request, asked)[1]["spec"]["trainer"]
    variables = {
        **pod_environment(trainer["env"]),
        "PET_NNODES": "2",
        "PET_NPROC_PER_NODE": "1",
        "PET_MASTER_ADDR": "localhost",
        "PET_MASTER_PORT": str(free_port()),
    }
    own = [{"PET_NODE_RANK": "0"}, {"PET_NODE_RANK": "1"}]
    check_ranks(run_pods(tmp_path, trainer["command"], variables, own), tmp_path)


def test_pods_of_a_pytorchjob_meet(
    small_request: LaunchRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name of the first pod is one that only the cluster resolves; here it is this machine."""
    volumes = (Volume("shared", str(tmp_path)),)
    _, job = kubernetes_manifests(small_request, kubernetes(volumes=volumes))
    pod = job["spec"]["pytorchReplicaSpecs"]["Worker"]["template"]["spec"]["containers"][0]
    first, port = "ko-worker-0:29400", free_port()
    assert first in pod["command"]
    command = [word.replace(first, f"localhost:{port}") for word in pod["command"]]
    monkeypatch.chdir(pod["workingDir"])
    ranks = run_pods(tmp_path, command, pod_environment(pod["env"]), [{}, {}])
    check_ranks(ranks, tmp_path)


def test_a_trainjob_is_not_elastic(make_request: Make) -> None:
    with pytest.raises(InputError, match="fixed number of nodes") as caught:
        kubernetes_manifests(make_request("2:4", command=COMMAND), kubernetes(flavour="trainjob"))
    assert "--flavour pytorchjob" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "better"),
    [("Ko_125M.v2", "ko-125m-v2"), ("9-lives", "lives"), ("ko-", "ko"), ("k" * 70, "k" * 51)],
)
def test_names_that_kubernetes_refuses_get_a_better_one(
    make_request: Make, name: str, better: str
) -> None:
    with pytest.raises(InputError, match="RFC 1123") as caught:
        kubernetes_manifests(make_request(name=name, command=COMMAND), kubernetes())
    assert f"--name {better}\n" in f"{caught.value}\n"
    kubernetes_manifests(make_request(name=better, command=COMMAND), kubernetes())


def test_a_name_without_a_letter_gets_no_suggestion(make_request: Make) -> None:
    with pytest.raises(InputError, match="choose one with --name"):
        kubernetes_manifests(make_request(name="한국어", command=COMMAND), kubernetes())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": ""}, "--image: pods need a container image"),
        ({"image": "hunmin latest"}, "--image: pods need a container image"),
        ({"volumes": ()}, "--volume: a run folder inside a pod is lost"),
        ({"namespace": "Team"}, "--namespace: Kubernetes takes no such name"),
        ({"namespace": "t" * 64}, "--namespace: Kubernetes takes no such name"),
        ({"runtime": "torch_distributed"}, "--runtime: Kubernetes takes no such name"),
        ({"queue": "gpu queue"}, "--queue: Kubernetes takes no such name"),
        ({"shared_memory": "64 GB"}, "--shared-memory: not an amount of memory"),
        ({"workdir": "shared"}, "--workdir: not a folder of the container"),
        ({"recipe_text": "x" * 1_000_000}, "recipe: the recipe is too large for a ConfigMap"),
    ],
)
def test_other_bad_input_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        kubernetes(**changes)


@pytest.mark.parametrize(
    "text", ["shared", "shared:", ":/shared", "shared:data", "Shared:/x", "a:/b:c"]
)
def test_a_volume_is_a_claim_and_a_folder(text: str) -> None:
    assert Volume.parse("shared:/shared/") == Volume("shared", "/shared")
    with pytest.raises(InputError, match="--volume: not a volume"):
        Volume.parse(text)


def test_memory_is_an_amount(make_request: Make) -> None:
    with pytest.raises(InputError, match="--memory: not an amount of memory"):
        kubernetes_manifests(make_request(command=COMMAND, memory="500GB"), kubernetes())


@pytest.mark.parametrize("folder", ["/runs/ko", "/shared-too/runs", "runs/ko"])
def test_a_run_folder_lies_on_a_volume(make_request: Make, folder: str) -> None:
    command = TrainCommand(RECIPE_PATH, (), folder)
    with pytest.raises(InputError, match="--run-dir: the run folder does not lie") as caught:
        kubernetes_manifests(make_request(command=command), kubernetes())
    assert "a folder in /shared/" in str(caught.value)
