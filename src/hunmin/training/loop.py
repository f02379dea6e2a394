"""The training loop of one process.

    batch ─> microbatches ─> loss ─> backward ─> clip ─> optimizer ─> callbacks

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
from torch import Tensor
from transformers import PreTrainedModel

from hunmin.core.errors import TrainingDivergedError
from hunmin.core.logs import get_logger
from hunmin.data.loader import TokenBatch, TokenLoader
from hunmin.models.loss import causal_lm_loss, token_nll
from hunmin.training.callbacks.callback import Callback
from hunmin.training.checkpoint import CheckpointFolder, refuse_other_run, restore
from hunmin.training.machine import Machine
from hunmin.training.optimizer import OptimizerSet
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
        data_wait_seconds: Time spent waiting for the batch.
        memory_bytes: Peak memory so far: of the GPU if there is one, else of the process.
        seconds: Wall time in steps since the run began, over all sittings.
    """

    step: int
    tokens: int
    loss: float
    learning_rate: float
    gradient_norm: float
    tokens_per_second: float
    mfu: float
    data_wait_seconds: float
    memory_bytes: int
    seconds: float


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


class Trainer:
    """Everything one process needs to train a model.

    Args:
        spec: What the recipe says.
        plan: What follows from it.
        model: On its device, in training dtype.
        optimizer: Its optimizer.
        batches: Training batches.
        held_out: Held-out batches; None for no evaluation.
        token_bytes: UTF-8 bytes per token id, shape (vocabulary,).
        checkpoints: Where checkpoints go.
        machine: Device, precision and measured speed.
        flops_per_token: Model FLOPs of forward and backward.
        callbacks: Called in this order.
        facts: Recorded at the start of every sitting.
    """

    def __init__(
        self,
        *,
        spec: TrainSpec,
        plan: TrainPlan,
        model: PreTrainedModel,
        optimizer: OptimizerSet,
        batches: TokenLoader,
        held_out: TokenLoader | None,
        token_bytes: Tensor,
        checkpoints: CheckpointFolder,
        machine: Machine,
        flops_per_token: float,
        callbacks: Sequence[Callback],
        facts: dict[str, Any] | None = None,
    ) -> None:
        self.spec = spec
        self.plan = plan
        self.model = model
        self.optimizer = optimizer
        self.batches = batches
        self.held_out = held_out
        self.token_bytes = token_bytes
        self.checkpoints = checkpoints
        self.machine = machine
        self.flops_per_token = flops_per_token
        self.callbacks = list(callbacks)
        self.facts = facts or {}
        self.state = TrainState()
        self.stop_reason: str | None = None
        for callback in self.callbacks:
            callback.trainer = self

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
            self.model.train()
            while self.state.step < self.plan.num_steps and self.stop_reason is None:
                self._tell("before_step")
                self._tell("after_step", self.step())
            self._tell("after_training")
        except BaseException as error:
            self._tell("on_error", error)
            raise
        finally:
            self._tell("close")
        return self.state

    def request_stop(self, reason: str) -> None:
        """Finish after the present step; a checkpoint is saved then."""
        if self.stop_reason is None:
            logger.info("stopping after this step: %s", reason)
            self.stop_reason = reason

    def _tell(self, moment: str, *arguments: object) -> None:
        for callback in self.callbacks:
            getattr(callback, moment)(*arguments)

    # -- one step --------------------------------------------------------------------------------

    def step(self) -> StepResult:
        """Do one optimizer step; callbacks are not told.

        Returns:
            Its metrics.

        Raises:
            TrainingDivergedError: The loss is not a number any more.
        """
        started = time.perf_counter()
        batch = self.batches.batch(self.state.step)
        waited = time.perf_counter() - started
        factor = learning_rate_factor(self.spec.schedule, self.state.step, self.plan.num_steps)
        learning_rate = self.optimizer.set_factor(factor)
        loss = float(self._backward(batch))
        norm = float(self._clip())
        self._refuse_divergence(loss, norm)
        self.optimizer.step()
        seconds = time.perf_counter() - started
        self.state.step += 1
        self.state.tokens += self.plan.tokens_per_step
        self.state.seconds += seconds
        rate = self.plan.tokens_per_step / seconds
        return StepResult(
            step=self.state.step,
            tokens=self.state.tokens,
            loss=loss,
            learning_rate=learning_rate,
            gradient_norm=norm,
            tokens_per_second=rate,
            mfu=rate * self.flops_per_token / self.machine.flops_per_second,
            data_wait_seconds=waited,
            memory_bytes=self.peak_memory_bytes(),
            seconds=self.state.seconds,
        )

    def _backward(self, batch: TokenBatch) -> Tensor:
        """Accumulate the gradients of all microbatches; return the mean loss."""
        total = torch.zeros((), device=self.machine.device)
        for microbatch in self._microbatches(batch):
            with self.machine.autocast():
                loss = causal_lm_loss(
                    self.model, microbatch, chunk_tokens=self.spec.loss_chunk_tokens
                )
            (loss / self.plan.microbatches).backward()
            total += loss.detach() / self.plan.microbatches
        return total

    def _microbatches(self, batch: TokenBatch) -> Iterator[TokenBatch]:
        size = self.plan.sequences_per_microbatch
        for start in range(0, batch.input_ids.shape[0], size):
            yield batch.rows(start, start + size).to(self.machine.device)

    def _clip(self) -> Tensor:
        limit = self.spec.clip_gradient_norm
        return torch.nn.utils.clip_grad_norm_(
            self.model.parameters(), math.inf if limit is None else limit
        )

    def _refuse_divergence(self, loss: float, gradient_norm: float) -> None:
        """Called before the weights are touched, so that no checkpoint holds what is broken."""
        if not (math.isfinite(loss) and math.isfinite(gradient_norm)):
            raise TrainingDivergedError(
                "the loss or its gradient is not a number any more",
                where=f"step {self.state.step + 1}",
                given=f"loss {loss}, gradient norm {gradient_norm}",
                hint="lower train.optimizer.learning_rate, or lengthen train.schedule.warmup",
            )

    def peak_memory_bytes(self) -> int:
        """Return the peak memory so far: of the GPU if there is one, else of the process."""
        if self.machine.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.machine.device)
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

    # -- held-out text ---------------------------------------------------------------------------

    def evaluate(self) -> None:
        """Score held-out text, remember the best and tell the callbacks."""
        if self.held_out is None:
            return
        result = self.score_held_out(self.held_out)
        if self.state.best_loss is None or result.loss < self.state.best_loss:
            self.state.best_loss, self.state.best_step = result.loss, result.step
        self._tell("after_evaluation", result)

    @torch.no_grad()
    def score_held_out(self, held_out: TokenLoader) -> EvaluationResult:
        """Score the first batches of held-out text, always the same ones.

        Args:
            held_out: The batches.

        Returns:
            The scores.
        """
        nats, tokens, num_bytes = 0.0, 0, 0
        with evaluation_mode(self.model):
            for index in range(self.plan.evaluation_batches):
                batch = held_out.batch(index)
                num_bytes += int(self.token_bytes[batch.labels].sum())
                batch = batch.to(self.machine.device)
                with self.machine.autocast():
                    nll = token_nll(self.model, batch)
                nats += float(nll.double().sum())
                tokens += batch.labels.numel()
        return EvaluationResult(
            step=self.state.step,
            tokens=self.state.tokens,
            split="validation",
            loss=nats / tokens,
            bits_per_byte=nats / math.log(2) / max(1, num_bytes),
            seconds=self.state.seconds,
        )

    # -- checkpoints -----------------------------------------------------------------------------

    def save_checkpoint(self) -> None:
        """Write a checkpoint of the present step and tell the callbacks."""
        self.state.callbacks = {c.name: s for c in self.callbacks if (s := c.state())}
        path = self.checkpoints.save(self.model, self.optimizer, self.state)
        self._tell("after_checkpoint", path)

    def resume(self) -> bool:
        """Go back to the newest whole checkpoint.

        Returns:
            Whether there was one.

        Raises:
            ArtifactMismatchError: The checkpoints belong to another recipe or other data.
            CorruptArtifactError: There are checkpoints and none of them is whole.
        """
        checkpoint = self.checkpoints.newest_whole()
        if checkpoint is None:
            return False
        refuse_other_run(checkpoint, self.checkpoints.identity)
        self.state = restore(checkpoint, self.model, self.optimizer)
        for callback in self.callbacks:
            if callback.name in self.state.callbacks:
                callback.load_state(self.state.callbacks[callback.name])
        logger.info("resuming after step %d of %d", self.state.step, self.plan.num_steps)
        return True


@contextlib.contextmanager
def evaluation_mode(model: PreTrainedModel) -> Iterator[None]:
    """Turn dropout off, and back on if it was on."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
