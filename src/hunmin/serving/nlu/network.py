"""The file of an exported model as a function of token ids."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from hunmin.core.errors import CorruptArtifactError
from hunmin.core.extras import require

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
INPUTS = ("input_ids", "attention_mask")
OUTPUTS = ("intent_logits", "slot_logits")
ONLY_ERRORS = 3


class Network(Protocol):
    """What turns token ids into logits, whatever computes it."""

    def __call__(self, input_ids: Integers, attention_mask: Integers) -> tuple[Floats, Floats]:
        """Return intent_logits (B, I) and slot_logits (B, T, S) of ids and mask (B, T)."""
        ...


class OnnxNetwork:
    """An ONNX file in ONNX Runtime on the CPU; may be called from several threads at once.

    Args:
        file: The file.
        num_threads: Threads of one call. One is best for single utterances: their matrices are
            too small to be shared out.

    Raises:
        CorruptArtifactError: The file is not a network of this form.
        MissingExtraError: onnxruntime is not installed.
    """

    def __init__(self, file: Path, *, num_threads: int = 1) -> None:
        runtime = require("onnxruntime", extra="nlu")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = num_threads
        options.inter_op_num_threads = 1
        options.log_severity_level = ONLY_ERRORS
        # Threads that spin for work would take the core from the next request.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session: Any = runtime.InferenceSession(
                file, options, providers=["CPUExecutionProvider"]
            )
        # The library's errors share no class but Exception.
        except Exception as error:
            raise _unreadable(file, str(error)) from error
        names = tuple(tensor.name for tensor in self._session.get_inputs())
        if sorted(names) != sorted(INPUTS):
            raise _unreadable(file, f"inputs {', '.join(names)}")

    def __call__(self, input_ids: Integers, attention_mask: Integers) -> tuple[Floats, Floats]:
        """Return the logits.

        Args:
            input_ids: Shape (B, T), at least one of each.
            attention_mask: 1 for tokens, 0 for padding, shape (B, T).

        Returns:
            intent_logits (B, I) and slot_logits (B, T, S), float32.
        """
        feeds = dict(zip(INPUTS, (input_ids, attention_mask), strict=True))
        intents, slots = self._session.run(OUTPUTS, feeds)
        return intents, slots


def _unreadable(file: Path, found: str) -> CorruptArtifactError:
    return CorruptArtifactError(
        "the exported network cannot be read",
        where=file,
        given=found[:200],
        allowed=f"inputs {', '.join(INPUTS)} and outputs {', '.join(OUTPUTS)}",
        hint="copy the folder again, or export the model again",
    )
