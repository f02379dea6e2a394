"""Programs of the catalogue."""

from __future__ import annotations

import pytest

from hunmin.core.errors import InputError
from hunmin.planner.catalogue.software import find_software, software_names


def test_every_program_is_complete() -> None:
    for name in software_names():
        software = find_software(name)
        assert software.name == name
        assert 0 <= software.overlap <= 1
        assert software.title
        assert "copies: " in software.origin


def test_what_a_program_is_like_is_taken_from_there() -> None:
    fsdp, ours = find_software("fsdp"), find_software("hunmin")
    assert (ours.copies, ours.overlap) == (fsdp.copies, fsdp.overlap)
    assert ours.title != fsdp.title


def test_published_systems_differ_in_memory_and_gradients() -> None:
    ours, mics = find_software("hunmin"), find_software("mics")
    assert (ours.reduce_bytes, ours.attention, ours.habits.name) == (4, "fused", "hunmin")
    assert (mics.reduce_bytes, mics.attention, mics.habits.name) == (2, "plain", "deepspeed")
    assert find_software("megatron").habits.name == "megatron"


def test_an_unknown_program_is_refused() -> None:
    with pytest.raises(InputError) as error:
        find_software("deepsped")
    assert "Did you mean 'deepspeed'" in str(error.value)
    assert "megatron" in str(error.value)
