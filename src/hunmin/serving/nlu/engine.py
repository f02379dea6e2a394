"""Texts to intents and slots, without torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from hunmin.adapt.nlu.config import NluConfig, read_config
from hunmin.adapt.nlu.decode import NUM_BEST, Parse, Transitions, decode, read_transitions
from hunmin.adapt.nlu.encode import EncodedUtterance, UtteranceEncoder, by_length, pad_batch
from hunmin.core.artifact import load_artifact
from hunmin.core.errors import MissingInputError
from hunmin.serving.errors import BrokenModelError
from hunmin.serving.nlu.network import Floats, Network, OnnxNetwork

ONNX_KIND = "nlu-onnx"
Precision = Literal["int8", "float32"]
FILES: dict[Precision, str] = {"int8": "model.int8.onnx", "float32": "model.onnx"}
BATCH_SIZE = 32
WARM_UP = "0"


class Parser(Protocol):
    """What parses utterances: an exported model, or a trained one in torch."""

    @property
    def config(self) -> NluConfig:
        """Labels of the model, and how it reads a text."""
        ...

    def parse(
        self,
        texts: Sequence[str],
        locales: Sequence[str] | str = "",
        *,
        batch_size: int = BATCH_SIZE,
        num_best: int = NUM_BEST,
    ) -> list[Parse]:
        """Return one parse for each text."""
        ...


@dataclass(frozen=True)
class NluEngine:
    """Parses utterances with an exported model; may be called from several threads at once.

    Args:
        network: Computes logits.
        config: Labels of the model.
        encoder: Encodes texts.
        transitions: Of its tags, if it has a CRF.

    Note:
        In int8 the largest activation of a batch scales all of them, so that an utterance near
        a border between two labels may be parsed in another way beside other texts; the report
        of the export says how often. A batch size of 1 keeps them apart: the server and
        `hunmin ask` do so.
    """

    network: Network
    config: NluConfig
    encoder: UtteranceEncoder
    transitions: Transitions | None = None

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        precision: Precision = "int8",
        num_threads: int = 1,
        verify: bool = True,
    ) -> NluEngine:
        """Open an exported model and run it once, so that the first request is no slower.

        Args:
            folder: Artifact of kind nlu-onnx.
            precision: Which of its networks.
            num_threads: Threads of one call.
            verify: Compare the checksums first.

        Returns:
            The engine.

        Raises:
            MissingInputError: There is no such folder, or it has no network of this precision.
            ArtifactKindError: It is no exported NLU model.
            CorruptArtifactError: A file is damaged.
            MissingExtraError: onnxruntime is not installed.
        """
        load_artifact(folder, ONNX_KIND, verify=verify)
        config = read_config(folder)
        file = _network_file(folder, precision)
        engine = cls(
            OnnxNetwork(file, num_threads=num_threads),
            config,
            UtteranceEncoder.load(folder, config),
            read_transitions(folder, config),
        )
        engine.parse([WARM_UP])
        return engine

    def parse(
        self,
        texts: Sequence[str],
        locales: Sequence[str] | str = "",
        *,
        batch_size: int = BATCH_SIZE,
        num_best: int = NUM_BEST,
    ) -> list[Parse]:
        """Find intent and slots of texts.

        Args:
            texts: None empty.
            locales: The locale of each, or of all; empty where it is not known.
            batch_size: Most texts of one call of the network.
            num_best: Intents to name.

        Returns:
            One parse for each text, in their order.

        Raises:
            InputError: A text is empty, or a locale is no language tag.
            TextEncodingError: A text holds a lone surrogate.
        """
        encoded = self.encoder.encode(texts, locales)
        parses: dict[int, Parse] = {}
        for rows in by_length(encoded, batch_size):
            batch = [encoded[row] for row in rows]
            intents, slots = self.logits(batch)
            made = decode(self.config, batch, intents, slots, self.transitions, num_best=num_best)
            parses.update(zip(rows, made, strict=True))
        return [parses[row] for row in range(len(texts))]

    def logits(self, batch: Sequence[EncodedUtterance]) -> tuple[Floats, Floats]:
        """Compute the logits of encoded texts.

        Args:
            batch: At least one.

        Returns:
            intent_logits (B, I) and slot_logits (B, T, S).

        Raises:
            BrokenModelError: They are not numbers.
        """
        intents, slots = self.network(*pad_batch(batch, self.config.pad_id))
        if not np.isfinite(intents).all():
            raise BrokenModelError(
                "the model computes values that are not numbers",
                hint="export it again from a model that was trained without such a loss",
            )
        return intents, slots


def _network_file(folder: Path, precision: Precision) -> Path:
    file = folder / FILES[precision]
    if not file.is_file():
        present = [name for name, path in FILES.items() if (folder / path).is_file()]
        raise MissingInputError(
            f"the export holds no {precision} network",
            where=folder,
            allowed=", ".join(present) or "none; the export is not whole",
            hint="choose a precision that it holds, or export the model again",
        )
    return file
