"""Clusters of the catalogue and of files."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunmin.core.errors import InputError, MissingInputError, RecipeError
from hunmin.planner.catalogue.clusters import MOST_NODES, cluster_names, find_cluster
from hunmin.planner.cluster import Cluster


@pytest.mark.parametrize("name", cluster_names())
def test_every_figure_has_a_source_that_is_no_line_of_the_catalogue(name: str) -> None:
    cluster = find_cluster(name)
    figures = {f"device.{key}": value for key, value in vars(cluster.device).items()}
    figures |= {f"within.{key}": value for key, value in vars(cluster.within).items()}
    figures |= {f"between.{key}": value for key, value in vars(cluster.between).items()}
    figures |= {
        key: getattr(cluster, key)
        for key in ("devices_per_node", "host_memory", "storage_bandwidth")
    }
    known = {key for key, value in figures.items() if value is not None} - {"device.name"}
    assert known == set(cluster.sources)
    assert all(len(source) >= 10 and ".yaml:" not in source for source in cluster.sources.values())


@pytest.mark.parametrize(
    ("name", "devices", "memory_gb", "peak", "within", "between_gbps"),
    [
        ("p3dn", 8, 32, ("fp16", 125e12), 150e9, 100),
        ("p4d", 8, 40, ("bf16", 312e12), 300e9, 400),
        ("p4de", 8, 80, ("bf16", 312e12), 300e9, 400),
        ("p5", 8, 80, ("bf16", 989e12), 450e9, 3200),
        ("p5en", 8, 141, ("bf16", 989e12), 450e9, 3200),
        ("dgx-a100", 8, 80, ("bf16", 312e12), 300e9, 1600),
        ("dgx-h100", 8, 80, ("bf16", 989e12), 450e9, 3200),
        ("dgx-2", 16, 32, ("fp16", 125e12), 150e9, 800),
        ("a100-40gb-roce", 8, 40, ("bf16", 312e12), 300e9, 1600),
        ("ibm-a100", 8, 80, ("bf16", 312e12), 300e9, 400),
        ("laptop", 1, 12, ("fp32", 384e9), 5e9, 1),
    ],
)
def test_published_figures(
    name: str,
    devices: int,
    memory_gb: float,
    peak: tuple[str, float],
    within: float,
    between_gbps: float,
) -> None:
    cluster = find_cluster(name)
    assert cluster.devices_per_node == devices
    assert cluster.device.memory == pytest.approx(memory_gb * 1e9, rel=0.07)
    assert cluster.device.peak[peak[0]] == peak[1]
    assert cluster.within.bandwidth == within
    assert cluster.between.bandwidth * 8 == between_gbps * 1e9


def test_volta_has_no_bfloat16() -> None:
    assert set(find_cluster("p3dn").device.peak) == {"fp16", "fp32"}


def test_constants_belong_to_the_kind_of_device_and_of_link() -> None:
    assert find_cluster("p4de").device == find_cluster("dgx-a100").device
    p4d, p5 = find_cluster("p4d").between, find_cluster("p5").between
    assert replace(p4d, bandwidth=p5.bandwidth) == p5
    assert (
        find_cluster("ibm-a100").between.latency == find_cluster("a100-80gb-roce").between.latency
    )


def test_a_cluster_may_differ_in_one_key_of_its_device() -> None:
    assert find_cluster("dgx-2").device == replace(find_cluster("p3dn").device, power=350)


@given(nodes=st.integers(min_value=1, max_value=MOST_NODES))
def test_nodes_are_counted(nodes: int) -> None:
    cluster = find_cluster(f"p4d:{nodes}")
    assert cluster.nodes == nodes
    assert cluster.devices == 8 * nodes


def test_one_node_without_a_number_and_names_in_any_case() -> None:
    assert find_cluster("p4d").nodes == 1
    assert find_cluster("P4D.24xlarge:2") == find_cluster("p4d:2")
    assert find_cluster("selene").name == "dgx-a100"


def test_bandwidth_between_nodes_can_be_given() -> None:
    slow, fast = find_cluster("dgx-2:24@100Gbps"), find_cluster("dgx-2:24")
    assert slow.between.bandwidth == 12.5e9
    assert slow.between.latency == fast.between.latency
    assert slow.within == fast.within
    assert slow.sources["between.bandwidth"] == "given as 100Gbps"
    assert fast.between.bandwidth == 1e11, "the catalogue's own entry must not change"
    assert find_cluster("p4d:2@12.5 GB/s").between.bandwidth == 12.5e9


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("p4", r"there is no cluster 'p4' in the catalogue\. Did you mean 'p4d'\?"),
        ("dgx-b200:4", r"Did you mean 'dgx-2[^']*|Did you mean 'dgx-"),
        ("selena", r"Did you mean 'selene'\?"),
        ("zzz", r"allowed: a100-40gb-roce, .*workstation; or a file such as my-cluster.yaml"),
        ("p4d:0", "'0' is no number of nodes"),
        ("p4d:-2", "'-2' is no number of nodes"),
        ("p4d:1.5", "'1.5' is no number of nodes"),
        ("p4d:", "'' is no number of nodes"),
        ("p4d:many", "1 to 100,000 nodes after the colon"),
        ("p4d:100001", "no number of nodes"),
        ("p4d:²", "no number of nodes"),
        (":4", "a cluster needs a name"),
        ("", "a cluster needs a name"),
        ("p4d:4@", "after the @: not a bandwidth"),
        ("p4d:4@400GB", "say a second: 400GB/s"),
        ("p4d:4@0 Gbps", "nodes without bandwidth cannot train together"),
    ],
)
def test_what_is_no_cluster(text: str, message: str) -> None:
    with pytest.raises(InputError, match=rf"^--cluster[\s\S]*{message}"):
        find_cluster(text, where="--cluster")


def _write(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def _find(folder: Path, text: str, nodes: str = "") -> Cluster:
    return find_cluster(f"{_write(folder, text)}{nodes}")


def test_a_file_says_what_differs(tmp_path: Path) -> None:
    mine = _find(
        tmp_path,
        "like: p4d.24xlarge\n"
        "device:\n"
        "  peak:\n"
        "    bf16: 250 TFLOPS\n"
        "between:\n"
        "  bandwidth: 800 Gbps\n"
        "  sources:\n"
        "    bandwidth: our own measurement\n",
        ":16",
    )
    theirs = find_cluster("p4d:16")
    assert mine.name == "mine"
    assert mine.title == "mine"
    assert mine.device == replace(theirs.device, peak={**theirs.device.peak, "bf16": 2.5e14})
    assert mine.between == replace(theirs.between, bandwidth=1e11)
    assert mine.within == theirs.within
    assert mine.host_memory == theirs.host_memory
    assert mine.sources["between.bandwidth"] == "our own measurement"
    assert mine.sources["device.peak"] == f"{tmp_path / 'mine.yaml'}:3"
    assert mine.sources["device.memory"] == theirs.sources["device.memory"]


def test_another_device_replaces_the_whole_device(tmp_path: Path) -> None:
    mine = _find(tmp_path, "like: dgx-2\ndevice: h100-80gb\nwithin: nvlink4\n")
    assert mine.device == find_cluster("p5").device
    assert mine.within == find_cluster("p5").within
    assert mine.devices_per_node == 16
    assert mine.sources["device.power"] == find_cluster("p5").sources["device.power"]


def test_nothing_of_the_old_device_stays(tmp_path: Path) -> None:
    mine = _find(tmp_path, "like: dgx-2\ndevice: cpu-core-avx512\n")
    assert mine.device.power is None
    assert set(mine.device.peak) == {"fp32"}


_WHOLE = """\
title: two boards under the desk
devices_per_node: 2
device:
  memory: 16 GiB
  memory_bandwidth: 400 GB/s
  peak: {fp16: 60 TFLOPS}
  matmul_share: 0.5
  kernel_seconds: 4 us
within: {bandwidth: 8 GB/s, latency: 20 us, share: 0.9}
between: {like: ethernet, bandwidth: 1 Gbps}
host_memory: 64 GB
"""


def test_a_file_that_is_like_nothing(tmp_path: Path) -> None:
    mine = _find(tmp_path, _WHOLE, ":3@10Gbps")
    assert mine.title == "two boards under the desk"
    assert mine.devices == 6
    assert mine.device.memory == 16 * 2**30
    assert mine.device.peak == {"fp16": 6e13}
    assert mine.device.kernel_seconds == 4e-6
    assert mine.device.power is None
    assert mine.within.usable == 8e9 * 0.9
    assert mine.between.bandwidth == 1.25e9
    assert mine.sources["within.latency"] == f"{tmp_path / 'mine.yaml'}:9"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("price: 32.77", r"mine.yaml:12: price: unknown key"),
        ("storage_bandwith: 2 GB/s", r"unknown key. Did you mean 'storage_bandwidth'\?"),
        ("storage_bandwidth: 2 GB", r"mine.yaml:12: storage_bandwidth: not a bandwidth.*2 GB/s"),
        ("storage_bandwidth: 0 GB/s", "storage_bandwidth: input should be greater than 0"),
        ("sources: {hostmemory: x}", "sources: a source of 'hostmemory', which is no key"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        _find(tmp_path, f"{_WHOLE}{line}\n")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "memory: 16 GiB",
            "memory: 16",
            r"yaml:4: device.memory: a number of bytes needs its unit",
        ),
        ("memory: 16 GiB", "memory: -1 GB", "device.memory: not a number of bytes"),
        ("memory: 16 GiB", "memry: 16 GiB", r"yaml:4: device.memry: .*Did you mean 'memory'\?"),
        (
            "matmul_share: 0.5",
            "matmul_share: 1.5",
            "device.matmul_share: .*less than or equal to 1",
        ),
        ("matmul_share: 0.5", "matmul_share: 0", "device.matmul_share: .*greater than 0"),
        ("share: 0.9", "share: 90", "within.share: .*less than or equal to 1"),
        ("{fp16: 60 TFLOPS}", "{fp16: 60 TFLOP}", "device.peak.fp16: .*60 TFLOP/s"),
        ("{fp16: 60 TFLOPS}", "{fp17: 60 TFLOPS}", r"device.peak.fp17: .*Did you mean 'fp16'\?"),
        ("{fp16: 60 TFLOPS}", "{}", "device.peak: at least one rate is needed"),
        ("latency: 20 us", "latency: 20", "within.latency: not a time"),
        (
            "devices_per_node: 2",
            "devices_per_node: 0",
            "devices_per_node: .*greater than or equal to 1",
        ),
        ("devices_per_node: 2", "devices_per_node: two", "devices_per_node: .*valid integer"),
        ("  matmul_share: 0.5\n", "", "mine.yaml: device.matmul_share: this key is required"),
        (
            "between: {like: ethernet, bandwidth: 1 Gbps}",
            "between: efa",
            "between.bandwidth: this key",
        ),
        ("like: ethernet", "like: etherne", r"yaml:10: between.like: .*Did you mean 'ethernet'\?"),
        ("device:\n", "device:\n  like: a100\n", r"yaml:4: device.like: there is no device 'a100'"),
        ("title: two boards under the desk", "like: p4", r"yaml:1: like: .*Did you mean 'p4d'\?"),
    ],
)
def test_an_impossible_file_is_explained(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in _WHOLE
    with pytest.raises(InputError, match=message):
        _find(tmp_path, _WHOLE.replace(old, new))


def test_everything_that_is_missing_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        _find(tmp_path, "devices_per_node: 8\ndevice: a100-80gb\nwithin: {bandwidth: 9 GB/s}\n")
    message = str(caught.value)
    for key in ("within.latency", "within.share", "between.bandwidth", "between.latency"):
        assert f"mine.yaml: {key}: this key is required" in message
    assert "like: p4d" in message


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    _write(tmp_path, _WHOLE)
    with pytest.raises(
        MissingInputError, match=r"no such cluster file. Did you mean 'mine.yaml'\?"
    ):
        find_cluster(str(tmp_path / "mime.yaml:4"))
    with pytest.raises(MissingInputError, match=r"leave \.yaml out to name a cluster"):
        find_cluster("p4d.yaml")


def test_a_folder_may_have_an_at_sign_and_a_colon(tmp_path: Path) -> None:
    folder = tmp_path / "me@home:2"
    folder.mkdir()
    assert find_cluster(f"{_write(folder, _WHOLE)}:5").nodes == 5
    assert find_cluster(f"{_write(folder, _WHOLE)}:5@4 Gbps").between.bandwidth == 5e8


def test_the_planner_works_without_torch() -> None:
    code = (
        "import sys; from hunmin.planner.catalogue.clusters import find_cluster;"
        "find_cluster('p4d:64');"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
