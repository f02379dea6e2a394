"""The words for torchrun are those that the installed torchrun knows."""

from __future__ import annotations

import shlex
from collections.abc import Callable

import pytest

from hunmin.parallel.launch import LaunchRequest, TrainCommand, local_command
from hunmin.parallel.launch.torchrun import flat, torchrun_options

torchrun = pytest.importorskip("torch.distributed.run")


def test_torchrun_reads_the_options(make_request: Callable[..., LaunchRequest]) -> None:
    request = make_request("2:4", max_restarts=5, rendezvous=(("last_call_timeout", "7"),))
    options = torchrun_options(
        request, nnodes="2:4", rdzv_endpoint="first:29400", rdzv_id="job", local_addr="node-1"
    )
    parsed = torchrun.parse_args([*flat(options), *request.command.words()])
    config, _, words = torchrun.config_from_args(parsed)
    assert (config.min_nodes, config.max_nodes, config.nproc_per_node) == (2, 4, 8)
    assert (config.rdzv_backend, config.rdzv_endpoint) == ("c10d", "first:29400")
    assert (config.run_id, config.local_addr, config.max_restarts) == ("job", "node-1", 5)
    assert config.rdzv_configs["last_call_timeout"] == "7"
    assert config.rdzv_configs["keep_alive_max_attempt"] == "3"
    wanted = ["-m", "hunmin", "train", "recipes/ko.yaml", "model.size=1B"]
    assert words[-7:] == [*wanted, "--run-dir", "/shared/runs/ko"]


def test_rendezvous_settings_are_those_that_the_backend_reads() -> None:
    """A name that torch does not know would be ignored without a word."""
    import inspect

    from torch.distributed.elastic.rendezvous import dynamic_rendezvous

    from hunmin.parallel.launch.request import RENDEZVOUS

    source = inspect.getsource(dynamic_rendezvous)
    for name in RENDEZVOUS:
        if name.endswith("_timeout"):
            assert f'_get_timeout(params, "{name.removesuffix("_timeout")}")' in source
        else:
            assert f'params.get_as_int("{name}"' in source


def test_variables_that_the_scripts_set_are_those_that_torch_reads() -> None:
    import inspect

    from torch.distributed.elastic.rendezvous import dynamic_rendezvous

    assert "TORCH_DISABLE_SHARE_RDZV_TCP_STORE" in inspect.getsource(dynamic_rendezvous)


def test_the_local_command_is_one_line_that_torchrun_reads() -> None:
    command = TrainCommand("a recipe.yaml", ("train.duration=5 steps",), "runs/a")
    words = shlex.split(local_command(command, 2))
    assert words[0] == "torchrun"
    parsed = torchrun.parse_args(words[1:])
    assert parsed.standalone
    assert parsed.nproc_per_node == "2"
    assert parsed.training_script == "hunmin"
    given = ["train", "a recipe.yaml", "train.duration=5 steps", "--run-dir", "runs/a"]
    assert parsed.training_script_args == given
