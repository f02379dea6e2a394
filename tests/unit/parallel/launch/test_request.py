"""What can be asked for, and what each refusal says."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hunmin.core.errors import InputError
from hunmin.parallel.launch import (
    LaunchRequest,
    Nodes,
    TrainCommand,
    check_layouts,
    parse_walltime,
)
from hunmin.parallel.launch.walltime import format_walltime
from hunmin.parallel.spec import ParallelSpec

Make = Callable[..., LaunchRequest]


def test_nodes_are_a_number_or_two() -> None:
    assert Nodes.parse("4") == Nodes(4, 4)
    assert Nodes.parse("2:4") == Nodes(2, 4)
    assert not Nodes(4, 4).elastic
    assert Nodes(2, 4).elastic
    assert [str(Nodes(4, 4)), str(Nodes(2, 4))] == ["4", "2:4"]


@pytest.mark.parametrize("text", ["", "four", "2:", ":4", "2-4", "2:4:6", "-1", "1.5", "²"])
def test_anything_else_is_no_number_of_nodes(text: str) -> None:
    with pytest.raises(InputError, match="--nodes: not a number of nodes") as caught:
        Nodes.parse(text)
    assert "2:4" in str(caught.value)


@pytest.mark.parametrize("text", ["0", "0:4", "4:2"])
def test_the_fewest_nodes_are_not_more_than_the_most(text: str) -> None:
    with pytest.raises(InputError, match="the fewest nodes are at least one"):
        Nodes.parse(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 5400),
        ("2:30", 150),
        ("24:00:00", 86_400),
        ("2-12", 216_000),
        ("1-02:03", 93_780),
        ("1-02:03:04", 93_784),
    ],
)
def test_time_limits_are_read_as_slurm_reads_them(text: str, seconds: int) -> None:
    assert parse_walltime(text) == seconds


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 400 * 86_400))
def test_a_written_time_limit_is_read_as_the_same(seconds: int) -> None:
    assert parse_walltime(format_walltime(seconds)) == seconds


@pytest.mark.parametrize("text", ["", "0", "00:00:00", "24h", "1:2:3:4", "-5", "1-", "1.5", "٣"])
def test_other_time_limits_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="--time: not a time limit") as caught:
        parse_walltime(text)
    assert "D-HH:MM:SS" in str(caught.value)


def test_a_node_without_gpus_needs_a_number_of_ranks(make_request: Make) -> None:
    assert make_request(gpus_per_node=0, processes_per_node=2).processes_per_node == 2
    with pytest.raises(InputError, match="needs to be told how many ranks"):
        make_request(gpus_per_node=0, processes_per_node=0)


def test_ranks_do_not_share_gpus(make_request: Make) -> None:
    assert make_request(gpus_per_node=8, processes_per_node=4).processes_per_node == 4
    with pytest.raises(InputError, match="more ranks on a node than GPUs") as caught:
        make_request(gpus_per_node=4, processes_per_node=8)
    assert "at most 4" in str(caught.value)


def test_saving_takes_less_than_the_whole_time(make_request: Make) -> None:
    assert make_request(seconds=301, grace=300).shutdown_seconds < 300
    with pytest.raises(InputError, match="not shorter than the time limit"):
        make_request(seconds=300, grace=300)
    with pytest.raises(InputError, match="too little time to save"):
        make_request(grace=29)


def test_a_launcher_gives_up_before_it_is_killed(make_request: Make) -> None:
    variables = make_request(grace=120).variables()
    assert 0 < int(variables["TORCH_ELASTIC_SHUTDOWN_TIMEOUT"]) < 120


def test_runs_on_several_nodes_can_take_in_new_ones(make_request: Make) -> None:
    assert make_request("1:4").variables()["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] == "1"
    assert "TORCH_DISABLE_SHARE_RDZV_TCP_STORE" not in make_request("1").variables()


def test_the_interface_is_that_of_both_libraries_and_users_win(make_request: Make) -> None:
    variables = make_request(
        interface="ib0", environment=(("NCCL_SOCKET_IFNAME", "eth0"),)
    ).variables()
    assert variables["GLOO_SOCKET_IFNAME"] == "ib0"
    assert variables["NCCL_SOCKET_IFNAME"] == "eth0"


@pytest.mark.parametrize(("name", "value"), [("1A", "x"), ("A B", "x"), ("", "x"), ("A", "x\ny")])
def test_what_is_no_variable_is_refused(make_request: Make, name: str, value: str) -> None:
    with pytest.raises(InputError, match="--env: not an environment variable"):
        make_request(environment=((name, value),))


@pytest.mark.parametrize(
    "name",
    ["RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "PET_NNODES"],
)
def test_variables_of_torchrun_are_left_to_it(make_request: Make, name: str) -> None:
    with pytest.raises(InputError, match="torchrun gives this variable"):
        make_request(environment=((name, "1"),))


@pytest.mark.parametrize(("name", "value"), [("timeout", "5"), ("join_timeout", "0"), ("a", "")])
def test_unknown_settings_of_the_rendezvous_are_refused(
    make_request: Make, name: str, value: str
) -> None:
    with pytest.raises(InputError, match="--rdzv-conf: not a setting") as caught:
        make_request(rendezvous=((name, value),))
    assert "last_call_timeout" in str(caught.value)


@pytest.mark.parametrize(
    "command", [("a\nb", (), "runs/a"), ("a", ("x=\n",), "runs/a"), ("a", (), "runs/\0a")]
)
def test_a_command_has_one_line(command: tuple[str, tuple[str, ...], str]) -> None:
    with pytest.raises(InputError, match="a command line has one line"):
        TrainCommand(*command)


def test_every_number_of_nodes_of_an_elastic_run_is_checked() -> None:
    parallel = ParallelSpec(partition_group=16)
    check_layouts(parallel, Nodes(2, 2), 8)
    check_layouts(parallel, Nodes(4, 4), 8)
    with pytest.raises(InputError, match=r"parallel\.partition_group") as caught:
        check_layouts(parallel, Nodes(2, 4), 8)
    assert "(with 3 of 2:4 nodes)" in str(caught.value)
    check_layouts(ParallelSpec(partition_group=8), Nodes(1, 4), 8)


def test_a_layout_that_the_run_would_refuse_is_refused_with_its_words() -> None:
    with pytest.raises(InputError, match=r"parallel\.tensor: ranks that split matrices"):
        check_layouts(ParallelSpec(tensor=3), Nodes(3, 3), 8)
    with pytest.raises(InputError, match=r"parallel\.ranks_per_node"):
        check_layouts(ParallelSpec(ranks_per_node=6), Nodes(2, 2), 8)
    with pytest.raises(InputError, match=r"parallel\.hierarchical"):
        check_layouts(ParallelSpec(hierarchical=True, partition_group=8), Nodes(2, 2), 8)
