"""What a recipe says of an export. No torch here."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from hunmin.core.spec import Spec


class ExportSpec(Spec):
    """How a trained NLU model becomes files for ONNX Runtime, and what int8 may cost."""

    data: tuple[Path, ...] = ()
    """Folders of LOCALE.jsonl files to compare on; none for those that the model was trained with.
    """
    partition: str = "dev"
    """Partition to compare on: never the one that results are told of."""
    locales: tuple[str, ...] = ()
    """Locales to compare on; none for all that have the partition."""
    max_utterances: int = Field(2000, ge=1)
    """Utterances to compare on; of more, evenly spaced ones are taken. Fewer than 500 make the
    default drop a matter of one utterance."""
    max_drop: float = Field(0.2, ge=0.0, le=100.0)
    """Points of exact match, of 100, that int8 may lose on these; more is an error."""
    reduce_range: bool = False
    """Round weights to 7 bits. For processors older than VNNI (2019 on servers, 2021 on
    desktops), whose 8-bit sums overflow silently; costs some accuracy."""
    keep_float32: bool = True
    """Whether the float32 network is part of the artifact, some four times the size of int8."""
