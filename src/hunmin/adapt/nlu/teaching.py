"""A teacher's answers to the training utterances, asked once, laid on the student's tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hunmin.adapt.distill.losses import task_distillation
from hunmin.adapt.nlu.encode import EncodedUtterance, by_length, pad_batch
from hunmin.adapt.nlu.examples import Batch, Example, Integers
from hunmin.adapt.nlu.model import NluModel
from hunmin.core.errors import ArtifactMismatchError
from hunmin.core.progress import progress

_BATCH = 64


@dataclass(frozen=True, slots=True)
class TeacherAnswers:
    """Logits for each example, kept in half precision.

    Args:
        intents: Shape (N, I).
        slots: For each example logits at its places, shape (P, S).
        has_slots: For each example the places where the teacher says something, shape (P): its
            tokens may begin elsewhere.
    """

    intents: npt.NDArray[np.float16]
    slots: tuple[npt.NDArray[np.float16], ...]
    has_slots: tuple[npt.NDArray[np.bool_], ...]

    def loss(
        self,
        batch: Batch,
        whole: Integers,
        intent_logits: Tensor,
        slot_logits: Tensor,
        temperature: float,
    ) -> tuple[Tensor, Tensor]:
        """Return what examples add to the mean distance of a batch, for intents and for slots.

        Args:
            batch: The examples of a forward pass.
            whole: Numbers of the examples of the batch.
            intent_logits: The student's, shape (B, I).
            slot_logits: The student's, shape (B, T, S).
            temperature: See `task_distillation`.

        Returns:
            Two scalars with gradients for the student.
        """
        rows, columns = np.nonzero(batch.is_place)
        tokens = batch.places[rows, columns]
        device = slot_logits.device
        wanted = np.zeros((*batch.tags.shape, self.slots[0].shape[1]), dtype=np.float32)
        wanted[rows, tokens] = np.concatenate([self.slots[row] for row in batch.rows])
        mask = np.zeros(batch.tags.shape, dtype=bool)
        mask[rows, tokens] = np.concatenate([self.has_slots[row] for row in batch.rows])
        intent, slot = task_distillation(
            intent_logits,
            slot_logits,
            torch.from_numpy(self.intents[batch.rows].astype(np.float32)).to(device),
            torch.from_numpy(wanted).to(device),
            torch.from_numpy(mask).to(device),
            temperature,
        )
        num_compared = sum(int(self.has_slots[row].sum()) for row in whole)
        slot_share = int(mask.sum()) / max(1, num_compared)
        return intent * (len(batch.rows) / len(whole)), slot * slot_share


def check_teacher(
    teacher: NluModel, intents: Sequence[str], slot_types: Sequence[str], *, where: str
) -> None:
    """Refuse a teacher that does not know all labels of the data.

    Args:
        teacher: The teacher; the student takes over its list of labels.
        intents: Intents of the data.
        slot_types: Slot types of the data.
        where: Folder of the teacher.

    Raises:
        ArtifactMismatchError: A label is unknown to it.
    """
    unknown = [name for name in intents if name not in teacher.config.intents]
    unknown += [name for name in slot_types if name not in teacher.config.slot_types]
    if unknown:
        raise ArtifactMismatchError(
            "the teacher was trained with other labels",
            where=where,
            given=f"{len(unknown)} unknown to it: {', '.join(unknown[:5])}",
            allowed=f"{len(teacher.config.intents)} intents such as "
            f"{', '.join(teacher.config.intents[:3])} and "
            f"{len(teacher.config.slot_types)} slot types",
            hint="train the teacher on this data, or leave nlu.teacher out",
        )


@torch.no_grad()
def ask_teacher(teacher: NluModel, examples: Sequence[Example]) -> TeacherAnswers:
    """Ask a teacher about all examples.

    Args:
        teacher: Its tokenizer may differ from the student's.
        examples: What the student learns.

    Returns:
        Its answers.
    """
    texts = [one.encoded.text for one in examples]
    theirs = teacher.encoder.encode(texts, [one.encoded.locale for one in examples])
    device = next(teacher.network.parameters()).device
    intents = np.zeros((len(texts), len(teacher.config.intents)), dtype=np.float16)
    slots: dict[int, tuple[npt.NDArray[np.float16], npt.NDArray[np.bool_]]] = {}
    with progress("asking the teacher", total=len(texts), unit="utterances") as bar:
        for rows in by_length(theirs, _BATCH):
            ids, mask = pad_batch([theirs[row] for row in rows], teacher.config.pad_id)
            tensors = (torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device))
            intent_logits, slot_logits = teacher.network(*tensors)
            intents[rows] = intent_logits.float().cpu().numpy()
            tags = slot_logits.float().cpu().numpy()
            for place, row in enumerate(rows):
                slots[row] = _laid_on(examples[row].encoded, theirs[row], tags[place])
            bar.advance(len(rows))
    ordered = [slots[row] for row in range(len(texts))]
    return TeacherAnswers(
        intents, tuple(some for some, _ in ordered), tuple(has for _, has in ordered)
    )


def _laid_on(
    ours: EncodedUtterance, theirs: EncodedUtterance, logits: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.float16], npt.NDArray[np.bool_]]:
    """Take the teacher's logits where one of its places begins with the student's character.

    Elsewhere B- and I- of the two would mean different things.
    """
    found = np.zeros((len(ours.places), logits.shape[1]), dtype=np.float16)
    at = np.searchsorted(theirs.starts, ours.starts)
    same = at < len(theirs.starts)
    same[same] = theirs.starts[at[same]] == ours.starts[same]
    found[same] = logits[theirs.places[at[same]]]
    return found, same
