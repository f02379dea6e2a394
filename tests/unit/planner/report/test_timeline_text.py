"""The time line as text and as a picture: what is exposed is seen, long passes are short."""

from __future__ import annotations

import re
from pathlib import Path

from hunmin.planner.report.timeline_picture import draw_timeline
from hunmin.planner.report.timeline_text import last_microstep, strips, timeline_lines, turns_of
from hunmin.planner.speed.timeline import Event

BLOCKS = 20


def compute(kind: str, block: int, start: float, end: float, microstep: int = 0) -> Event:
    return Event("compute", kind, block, microstep, start, end)  # type: ignore[arg-type]


def network(kind: str, block: int, start: float, end: float, microstep: int = 0) -> Event:
    return Event("network", kind, block, microstep, start, end)  # type: ignore[arg-type]


def microstep(began: float = 0.0, number: int = 0) -> list[Event]:
    """A wait of 2, then blocks forward of 1 with gathers beside them, a loss, and back."""
    events = [network("gather", 0, began, began + 2, number)]
    clock = began + 2
    for block in range(BLOCKS):
        events.append(compute("forward", block, clock, clock + 1, number))
        events.append(network("gather", block + 1, clock, clock + 0.5, number))
        clock += 1
    events.append(compute("loss", -1, clock, clock + 1, number))
    clock += 1
    for block in reversed(range(BLOCKS)):
        events.append(compute("backward", block, clock, clock + 2, number))
        events.append(network("scatter", block, clock + 2, clock + 2.5, number))
        clock += 2
    events.append(network("all_reduce", 0, clock + 0.5, clock + 7, number))
    events.append(compute("optimizer", -1, clock + 7, clock + 8, number))
    return events


def test_only_the_last_microstep_is_shown_from_its_beginning() -> None:
    first = [compute("forward", 0, 0, 5), network("scatter", 0, 5, 7)]
    shown = last_microstep([*first, *microstep(began=7.0, number=1)])
    assert (shown[0].kind, shown[0].start, shown[0].end) == ("gather", 0, 2)
    assert turns_of(shown) == turns_of(microstep())


def test_a_wait_belongs_to_the_turn_after_it_with_what_was_sent() -> None:
    turns = turns_of(microstep())
    assert turns[0].waited == 2
    assert turns[0].sending == ("gather 1", "gather 2")
    assert all(turn.waited == 0 for turn in turns[1:-1])
    assert (turns[-1].kind, turns[-1].waited) == ("optimizer", 7)
    assert turns[-1].sending == ("scatter 1", "all-reduce 1")


def test_strips_have_a_letter_for_each_stretch_of_time() -> None:
    turns = 2 + BLOCKS + 1 + 2 * BLOCKS + 7 + 1
    top, bottom = strips(microstep(), width=turns)
    assert top == "!!" + "f" * BLOCKS + "L" + "b" * 2 * BLOCKS + "!" * 7 + "o"
    assert bottom[:2] == "gg"
    assert set(bottom[-8:-1]) <= {"s", "a"}
    assert bottom[-1] == " "


def test_long_passes_are_abbreviated_and_nothing_is_lost() -> None:
    text = "\n".join(timeline_lines(microstep(), 4))
    assert text.startswith("Time line of the last of 4 microsteps and the update, 71.00 s")
    assert "forward 3 " in text
    assert "forward 4 " not in text
    assert text.count(f"… {BLOCKS - 4} more") == 2
    assert f"{BLOCKS - 4:.2f} s" in text, "the blocks that are not shown take a second each"
    assert "backward 20 " in text
    assert "backward 1 " in text
    assert "! 7.00 s" in text
    assert "all-reduce 1" in text


def test_waits_of_blocks_that_are_not_shown_are_summed_up() -> None:
    starts = [2.5 * block for block in range(BLOCKS)]
    events = [compute("forward", block, at, at + 1) for block, at in enumerate(starts)]
    lines = timeline_lines(events, 1)
    summary = next(line for line in lines if "more" in line)
    assert f"! {1.5 * (BLOCKS - 4):.2f} s" in summary


def test_short_passes_are_written_out() -> None:
    events = [compute("forward", 0, 0, 0.001), compute("tensor", 0, 0.001, 0.002)]
    text = "\n".join(timeline_lines(events, 1))
    assert "the only microstep" in text
    assert "tensor all-reduce 1" in text
    assert "more" not in text
    assert "! " not in text.split("waits first")[1]


def written(picture: Path) -> set[str]:
    """Return the texts of a picture: letters are drawn, each text stands in a comment."""
    return set(re.findall(r"<!-- (.*?) -->", picture.read_text(encoding="utf-8")))


def test_the_picture_has_a_closer_look_and_is_the_same_for_the_same_step(tmp_path: Path) -> None:
    paths = [tmp_path / "a.svg", tmp_path / "b.svg", tmp_path / "c.png"]
    draw_timeline(microstep(), "model on cluster", "hatched: waits", paths)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert {"model on cluster", "all-reduce between copies", "Around the loss"} <= written(paths[0])
    assert {"17", "20"} <= written(paths[0]), "four blocks on each side of the loss"
    assert "16" not in written(paths[0])
    assert paths[2].stat().st_size > 5_000


def test_a_step_without_a_loss_has_no_closer_look(tmp_path: Path) -> None:
    draw_timeline(microstep()[:6], "some blocks", "", [tmp_path / "a.svg"])
    assert "Around the loss" not in written(tmp_path / "a.svg")
    assert "backward" not in written(tmp_path / "a.svg")
