"""The time line of a step as text: two strips, then a row for each turn of a block.

    compute  !ffffffffffffffLbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb!!o
    network  gggggggggggggg ggsgsgsgsgsgsgsgsgsgsgsgsgsgsaaa

A letter is what takes most of its stretch of time; `!` is waiting that nothing hides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hunmin.planner.speed.timeline import OUTSIDE, Event

STRIP_WIDTH = 88
"""Letters of a strip."""
_SHOWN = 3
"""Blocks of a pass that are written out at its beginning; then how many more, and the last."""
_LETTERS = {
    "forward": "f",
    "loss": "L",
    "backward": "b",
    "tensor": "t",
    "optimizer": "o",
    "gather": "g",
    "scatter": "s",
    "all_reduce": "a",
}
_WAITING, _IDLE = "!", " "
_NAMES = {"all_reduce": "all-reduce", "tensor": "tensor all-reduce", "optimizer": "update"}
_LEGEND = (
    "f forward  L loss  b backward  t between tensor ranks  o update  "
    "g gather  s scatter  a all-reduce  ! waits"
)


@dataclass(frozen=True)
class Turn:
    """A stretch of computing, and the wait before it.

    Args:
        kind: What is computed.
        block: Of which block; -1 outside of the blocks.
        start: When it begins, seconds since the microstep began.
        seconds: How long it computes.
        waited: Seconds that nothing was computed before it.
        sending: What the network carried from the beginning of the wait to the end of the turn.
    """

    kind: str
    block: int
    start: float
    seconds: float
    waited: float
    sending: tuple[str, ...]


def last_microstep(events: Sequence[Event]) -> list[Event]:
    """Return the events of the last microstep and the update, timed from its beginning.

    Args:
        events: Of a step, as `step_time` returns them.

    Returns:
        Compute and network events; the microstep begins when all before it has ended.
    """
    last = max(event.microstep for event in events)
    earlier = [event.end for event in events if event.microstep < last]
    began = max(earlier, default=0.0)
    return [
        Event(e.stream, e.kind, e.block, e.microstep, e.start - began, e.end - began)
        for e in events
        if e.microstep == last
    ]


def turns_of(events: Sequence[Event]) -> list[Turn]:
    """Pair each stretch of computing with the wait before it and the messages beside it.

    Args:
        events: As `last_microstep` returns them.

    Returns:
        In the order of time.
    """
    sent = [event for event in events if event.stream == "network"]
    turns: list[Turn] = []
    ended = 0.0
    for event in events:
        if event.stream != "compute":
            continue
        beside = [e for e in sent if e.start < event.end and e.end > ended]
        names = tuple(dict.fromkeys(_name(e.kind, e.block) for e in beside))
        waited = max(0.0, event.start - ended)
        turns.append(Turn(event.kind, event.block, event.start, event.seconds, waited, names))
        ended = event.end
    return turns


def strips(events: Sequence[Event], width: int = STRIP_WIDTH) -> tuple[str, str]:
    """Draw both streams with one letter for each stretch of time.

    Args:
        events: As `last_microstep` returns them.
        width: Letters.

    Returns:
        Compute and network.
    """
    end = max(event.end for event in events)
    compute = _strip(events, "compute", end, width)
    network = _strip(events, "network", end, width)
    return compute.replace(_IDLE, _WAITING), network


def timeline_lines(events: Sequence[Event], microsteps: int) -> list[str]:
    """Return the lines that `hunmin plan --explain` prints of a step.

    Args:
        events: Of a step, as `step_time` returns them.
        microsteps: Of the step; the last one is shown.

    Returns:
        Two strips, a legend, and a table in which long passes are abbreviated.
    """
    shown = last_microstep(events)
    if not shown:
        return []
    compute, network = strips(shown)
    end = max(event.end for event in shown)
    which = "the only microstep" if microsteps == 1 else f"the last of {microsteps} microsteps"
    head = f"Time line of {which} and the update, {_seconds(end)}"
    table = ["start (ms)  compute                  takes      waits first   network meanwhile"]
    return [
        head,
        "",
        f"  compute  {compute}",
        f"  network  {network}",
        f"           {_LEGEND}",
        "",
        *(f"  {line}".rstrip() for line in (*table, *_table(turns_of(shown)))),
    ]


def _table(turns: Sequence[Turn]) -> Iterator[str]:
    for run in _runs(turns):
        blocks = len({turn.block for turn in run})
        if blocks <= _SHOWN + 2:
            yield from map(_row, run)
            continue
        first, middle, last = _abbreviate(run)
        yield from map(_row, first)
        yield _summary(middle)
        yield from map(_row, last)


def _runs(turns: Sequence[Turn]) -> list[list[Turn]]:
    """Split into passes: forward, loss, backward, update; tensor turns stay with their block."""
    runs: list[list[Turn]] = []
    pass_kind = ""
    for turn in turns:
        if turn.kind not in ("tensor", pass_kind):
            runs.append([])
            pass_kind = turn.kind
        runs[-1].append(turn)
    return runs


def _abbreviate(run: Sequence[Turn]) -> tuple[list[Turn], list[Turn], list[Turn]]:
    blocks = list(dict.fromkeys(turn.block for turn in run))
    ahead, behind = set(blocks[:_SHOWN]), {blocks[-1]}
    first = [turn for turn in run if turn.block in ahead]
    last = [turn for turn in run if turn.block in behind]
    return first, [turn for turn in run if turn.block not in ahead | behind], last


def _row(turn: Turn) -> str:
    name = _name(turn.kind, turn.block)
    waited = f"! {_seconds(turn.waited)}" if turn.waited > 0 else ""
    takes = _seconds(turn.seconds)
    sending = ", ".join(turn.sending)
    return f"{turn.start * 1e3:10.1f}  {name:<20} {takes:>11}  {waited:>15}   {sending}"


def _summary(turns: Sequence[Turn]) -> str:
    blocks = len({turn.block for turn in turns})
    waited = sum(turn.waited for turn in turns)
    text = f"! {_seconds(waited)}" if waited > 0 else ""
    takes = _seconds(sum(turn.seconds for turn in turns))
    return f"{'':10}  {f'… {blocks} more':<20} {takes:>11}  {text:>15}"


def _name(kind: str, block: int) -> str:
    name = _NAMES.get(kind, kind)
    if kind in ("loss", "optimizer"):
        return name
    return f"{name} embeddings" if block == OUTSIDE else f"{name} {block + 1}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.1f} ms"


def _strip(events: Sequence[Event], stream: str, end: float, width: int) -> str:
    mine = [event for event in events if event.stream == stream]
    stretch = end / width
    return "".join(_letter(mine, place * stretch, stretch) for place in range(width))


def _letter(events: Sequence[Event], start: float, seconds: float) -> str:
    """Return the letter of what takes most of a stretch of time."""
    shares: dict[str, float] = {}
    for event in events:
        inside = min(event.end, start + seconds) - max(event.start, start)
        if inside > 0:
            shares[event.kind] = shares.get(event.kind, 0.0) + inside
    idle = seconds - sum(shares.values())
    kind = max(shares, key=lambda each: shares[each], default=None)
    return _IDLE if kind is None or idle > shares[kind] else _LETTERS[kind]
