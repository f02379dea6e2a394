"""The training loop, the same on every rank.

    batch ─> gradient of all microbatches ─> clip ─> optimizer ─> callbacks

Batches are a pure function of the step, the model and optimizer states are saved to the last bit,
and the sums run in a fixed order: on a CPU with the same number of threads a run that was killed
and resumed goes through the same losses as one that was not.
"""

from __future__ import annotations

import contextlib
import math
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from hunmin.core.logs import get_logger
from hunmin.data.batch import Batch
from hunmin.data.loader import WindowLoader
from hunmin.models.flops import TokenFlops
from hunmin.parallel.checkpoint.memory_copy import MemoryCopies
from hunmin.parallel.world import World
from hunmin.training.callbacks.callback import Callback
from hunmin.training.checkpoint import CheckpointFolder, resume_newest
from hunmin.training.guard import Action, LossGuard, Verdict, divergence
from hunmin.training.learner import Learner
from hunmin.training.plan import TrainPlan
from hunmin.training.schedule import learning_rate_factor
from hunmin.training.spec import TrainSpec
from hunmin.training.state import TrainState

logger = get_logger(__name__)


@dataclass(frozen=True)
class StepResult:
    """Metrics of one optimizer step.

    Args:
        step: Steps done, this one included.
        tokens: Tokens trained on so far.
        loss: Mean over the step's tokens, nats per token.
        learning_rate: Of the first parameter group.
        gradient_norm: Before clipping.
        tokens_per_second: Of this step.
        mfu: Model FLOPs of this step as a share of the measured matrix-product rate.
        hfu: The same with what is computed again in the backward pass.
        data_wait_seconds: Time spent waiting for the batch.
        memory_bytes: Peak memory so far: of the GPU if there is one, else of the process.
        seconds: Wall time in steps since the run began, over all sittings.
        skipped: Why the weights were not updated; empty if they were.
    """

    step: int
    tokens: int
    loss: float
    learning_rate: float
    gradient_norm: float
    tokens_per_second: float
    mfu: float
    hfu: float
    data_wait_seconds: float
    memory_bytes: int
    seconds: float
    skipped: str = ""


@dataclass(frozen=True)
class EvaluationResult:
    """Scores of held-out text.

    Args:
        step: Steps done.
        tokens: Tokens trained on so far.
        split: Which split was scored.
        loss: Nats per token.
        bits_per_byte: Bits per UTF-8 byte of the text behind the scored tokens.
        seconds: Wall time in steps since the run began.
    """

    step: int
    tokens: int
    split: str
    loss: float
    bits_per_byte: float
    seconds: float


@dataclass(frozen=True)
class TrainingData:
    """What a model learns from and is judged by.

    Args:
        batches: Training batches.
        held_out: All held-out rows of an evaluation as one batch; None for no evaluation.
        token_bytes: UTF-8 bytes per token id, shape (vocabulary,).
    """

    batches: WindowLoader[Any]
    held_out: WindowLoader[Any] | None
    token_bytes: Tensor


class Trainer:
    """Everything one rank needs to train a model with the others.

    Args:
        spec: What the recipe says.
        plan: What follows from it.
        learner: Model and optimizer.
        data: Batches to learn from and held-out ones.
        checkpoints: Where checkpoints go.
        memory_copies: Copies of the last steps in the memory of the nodes; None for none.
        flops: Operations of forward and backward.
        callbacks: Called in this order.
        facts: Recorded at the start of every sitting.
    """

    def __init__(
        self,
        *,
        spec: TrainSpec,
        plan: TrainPlan,
        learner: Learner,
        data: TrainingData,
        checkpoints: CheckpointFolder,
        memory_copies: MemoryCopies | None = None,
        flops: TokenFlops,
        callbacks: Sequence[Callback],
        facts: dict[str, Any] | None = None,
    ) -> None:
        self.spec = spec
        self.plan = plan
        self.learner = learner
        self.data = data
        self.checkpoints = checkpoints
        self.memory_copies = memory_copies
        self.flops = flops
        self.callbacks = list(callbacks)
        self.facts = facts or {}
        self.state = TrainState()
        self.guard = LossGuard(spec.guard)
        self.stop_reason: str | None = None
        self._asked_to_stop: str | None = None
        for callback in self.callbacks:
            callback.trainer = self

    @property
    def model(self) -> PreTrainedModel:
        """The model."""
        return self.learner.model

    @property
    def world(self) -> World:
        """All ranks."""
        return self.learner.world

    # -- one run ---------------------------------------------------------------------------------

    def fit(self) -> TrainState:
        """Train until the plan is done or a callback asks to stop.

        Returns:
            Where the run stands at its end.

        Raises:
            TrainingDivergedError: The loss is not a number any more.
        """
        try:
            self._tell("before_training")
            self.learner.objective.train()
            while self.state.step < self.plan.num_steps and self.stop_reason is None:
                self._tell("before_step")
                result = self.step()
                if result is not None:
                    self._tell("after_step", result)
            self._tell("after_training")
        except BaseException as error:
            self._tell("on_error", error)
            raise
        finally:
            self._tell("close")
        return self.state

    def request_stop(self, reason: str) -> None:
        """Finish after the present step; a checkpoint is saved then.

        Note:
            Every rank must call it in the same step, as callbacks do.
        """
        if self.stop_reason is None:
            logger.info("stopping after this step: %s", reason)
            self.stop_reason = reason

    def ask_to_stop(self, reason: str) -> None:
        """Finish soon, all ranks after the same step; may be called on one rank at any moment."""
        if self.world.size == 1:
            self.request_stop(reason)
        self._asked_to_stop = self._asked_to_stop or reason

    def _agree_on_stop(self, num_asking: float) -> None:
        if num_asking > 0:
            self.request_stop(self._asked_to_stop or "SIGTERM received by another rank")

    def _tell(self, moment: str, *arguments: object) -> None:
        for callback in self.callbacks:
            getattr(callback, moment)(*arguments)

    # -- one step --------------------------------------------------------------------------------

    def step(self) -> StepResult | None:
        """Do one optimizer step; callbacks are not told.

        Returns:
            Its metrics; None if the run went back to a checkpoint instead.

        Raises:
            TrainingDivergedError: The guard of the recipe says that this is the end.
        """
        started = time.perf_counter()
        batch = self.data.batches.batch(self.guard.batch_number(self.state.step))
        waited = time.perf_counter() - started
        factor = learning_rate_factor(self.spec.schedule, self.state.step, self.plan.num_steps)
        learning_rate = self.learner.optimizer.set_factor(factor)
        loss = self._backward(batch)
        norm = float(self.learner.clip(self.spec.clip_gradient_norm))
        verdict = self._take_or_leave(loss, norm)
        if verdict.action is Action.ROLLBACK:
            self._roll_back(verdict)
            return None
        seconds = time.perf_counter() - started
        self._count(seconds)
        rate = self.plan.tokens_per_step / seconds
        return StepResult(
            step=self.state.step,
            tokens=self.state.tokens,
            loss=loss,
            learning_rate=learning_rate,
            gradient_norm=norm,
            tokens_per_second=rate,
            mfu=rate * self.flops.of_model / self._flops_per_second(),
            hfu=rate * self.flops.of_hardware / self._flops_per_second(),
            data_wait_seconds=waited,
            memory_bytes=self.peak_memory_bytes(),
            seconds=self.state.seconds,
            skipped=verdict.reason,
        )

    def _count(self, seconds: float) -> None:
        self.state.step += 1
        self.state.tokens += self.plan.tokens_per_step
        self.state.seconds += seconds

    def _backward(self, batch: Batch) -> float:
        """Take the gradients; return the mean loss, and learn whether any rank wants to stop."""
        loss = self.learner.backward(batch, self.plan)
        asking = float(self._asked_to_stop is not None)
        mean_loss, num_asking = self.world.mean(
            torch.stack((loss, loss.new_tensor(asking)))
        ).tolist()
        self._agree_on_stop(num_asking)
        return float(mean_loss)

    def _flops_per_second(self) -> float:
        return self.learner.machine.flops_per_second * self.world.size

    def _take_or_leave(self, loss: float, norm: float) -> Verdict:
        """Update the weights, or not: judged before they are touched, so that none is broken."""
        verdict = self.guard.judge(self.state.step + 1, loss, norm)
        if verdict.action is Action.GO:
            self.learner.optimizer.step()
            return verdict
        self.learner.forget_gradients()
        if verdict.action is Action.STOP:
            raise divergence(self.state.step + 1, verdict)
        if self.world.is_first:
            logger.warning("step %d: %s: %s", self.state.step + 1, verdict.reason, verdict.action)
        return verdict

    def _roll_back(self, verdict: Verdict) -> None:
        """Go back to the newest checkpoint and pass over the batches that led here."""
        wrong_batch, step = self.guard.batch_number(self.state.step), self.state.step + 1
        guard = self.guard
        self._tell("before_rollback")
        if not self.resume():
            raise divergence(step, verdict)
        next_batch, saved = self.guard.batch_number(self.state.step), self.guard.state()
        self.guard = guard
        self.guard.roll_back(wrong_batch, to_batch=next_batch, saved=saved)

    def peak_memory_bytes(self) -> int:
        """Return the peak memory so far: of the GPU if there is one, else of the process."""
        device = self.learner.machine.device
        if device.type == "cuda":
            return torch.cuda.max_memory_allocated(device)
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

    # -- held-out text ---------------------------------------------------------------------------

    def evaluate(self) -> None:
        """Score held-out text, remember the best and tell the callbacks."""
        if self.data.held_out is None:
            return
        result = self.score_held_out(self.data.held_out)
        if self.state.best_loss is None or result.loss < self.state.best_loss:
            self.state.best_loss, self.state.best_step = result.loss, result.step
        self._tell("after_evaluation", result)

    def score_held_out(self, held_out: WindowLoader[Any]) -> EvaluationResult:
        """Score the first rows of held-out text, always the same ones.

        Args:
            held_out: The rows as batch 0.

        Returns:
            The scores.
        """
        with evaluation_mode(self.learner.objective):
            score = self.learner.score(held_out.batch(0), self.data.token_bytes, self.plan)
        return EvaluationResult(
            step=self.state.step,
            tokens=self.state.tokens,
            split="validation",
            loss=score.nats / score.tokens,
            bits_per_byte=score.nats / math.log(2) / max(1, score.bytes),
            seconds=self.state.seconds,
        )

    # -- checkpoints -----------------------------------------------------------------------------

    def save_checkpoint(self) -> None:
        """Write a checkpoint of this step, or begin to; `Checkpointer` tells when it is safe."""
        self._collect_states()
        self.checkpoints.save(self.learner.trained, self.learner.optimizer, self.state)

    def resume(self) -> bool:
        """Go back to the newest whole checkpoint, or to a newer copy in the nodes' memory.

        Returns:
            Whether there was one.

        Raises:
            ArtifactMismatchError: The checkpoints belong to another recipe or other data.
            CorruptArtifactError: There are checkpoints and none of them is whole.
        """
        state = resume_newest(
            self.checkpoints,
            self.learner.trained,
            self.learner.optimizer,
            copies=self.memory_copies,
            tensor=self.plan.tensor_ranks(self.world.size),
        )
        if state is None:
            return False
        self._go_on_from(state)
        logger.info("resuming after step %d of %d", state.step, self.plan.num_steps)
        return True

    def copy_to_memory(self) -> float:
        """Copy the present state into the memory of the nodes; return the seconds it took."""
        if self.memory_copies is None:
            return 0.0
        self._collect_states()
        return self.checkpoints.copy(
            self.memory_copies, self.learner.trained, self.learner.optimizer, self.state
        )

    def forget_memory(self) -> None:
        """Give the memory of the copies back."""
        if self.memory_copies is not None:
            self.memory_copies.clean()

    def _go_on_from(self, state: TrainState) -> None:
        self.state = state
        self.guard = LossGuard(self.spec.guard)
        if state.guard:
            self.guard.load_state(state.guard)
        for callback in self.callbacks:
            if callback.name in state.callbacks:
                callback.load_state(state.callbacks[callback.name])

    def _collect_states(self) -> None:
        self.state.callbacks = {c.name: s for c in self.callbacks if (s := c.state())}
        self.state.guard = self.guard.state()


@contextlib.contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Turn dropout off, and back on if it was on."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
