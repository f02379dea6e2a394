"""The loop that fine-tunes: small, on one device, resumable after each epoch.

epoch: batches of like length ─> loss ─> clip ─> AdamW
       dev of the selection locales ─> best weights kept ─> checkpoint
"""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from hunmin.adapt.nlu.examples import epoch_batches
from hunmin.adapt.nlu.spec import NluSpec
from hunmin.core.atomic import atomic_folder, recover_folder
from hunmin.core.errors import TrainingDivergedError
from hunmin.core.hashing import seed_from
from hunmin.core.logs import get_logger
from hunmin.core.progress import ProgressBar, progress
from hunmin.models.devices import explain_out_of_memory
from hunmin.models.precision import Precision, autocast, choose_precision
from hunmin.training.schedule import learning_rate_factor

logger = get_logger(__name__)

METRICS_FILE = "metrics.jsonl"
_CHECKPOINT = "checkpoint"
_MOMENTS = ("exp_avg", "exp_avg_sq", "step")
Integers = npt.NDArray[np.int64]


class Task(Protocol):
    """What is fitted: heads on a body, or a model that writes labels."""

    @property
    def network(self) -> nn.Module:
        """What is trained."""

    @property
    def lengths(self) -> Integers:
        """Tokens of each example, shape (N)."""

    def loss(self, rows: Integers, whole: Integers) -> tuple[Tensor, dict[str, float]]:
        """Return what examples add to the mean loss of a batch, and its parts for the record.

        Args:
            rows: Numbers of the examples of a forward pass.
            whole: Numbers of the examples of the batch, over which the mean is taken.

        Returns:
            A scalar with gradients, and numbers that add up over a batch.
        """

    def evaluate(self) -> dict[str, float]:
        """Return scores on the dev partition; `exact_match` chooses the epoch."""


@dataclass
class FitState:
    """Where a run stands after an epoch."""

    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    best_epoch: int = 0
    best: dict[str, float] = field(default_factory=dict)
    stale: int = 0
    finished: bool = False

    def is_better(self, scores: Mapping[str, float]) -> bool:
        """Tell whether an evaluation beats the best one: exact match, then intents, then slots."""
        keys = ("exact_match", "intent_accuracy", "slot_f1")
        new = [scores.get(key, 0.0) for key in keys]
        return not self.best or new > [self.best.get(key, 0.0) for key in keys]


class Fit:
    """One run.

    Args:
        spec: Settings.
        task: What is fitted.
        folder: Where metrics and checkpoint lie.
        identity: A hash of all that decides the result; a checkpoint of another one is not used.
        device: Where the network lies.
        on_evaluation: Told the epoch and its scores; may end the run by raising.
    """

    def __init__(
        self,
        spec: NluSpec,
        task: Task,
        folder: Path,
        identity: str,
        device: torch.device,
        *,
        on_evaluation: Callable[[int, Mapping[str, float]], None] | None = None,
    ) -> None:
        self.on_evaluation = on_evaluation
        self.spec = spec
        self.task = task
        self.folder = folder
        self.identity = identity
        self.device = device
        self.precision: Precision = choose_precision(spec.precision, device, where="nlu.precision")
        steps_per_epoch = math.ceil(len(task.lengths) / spec.batch_size)
        self.num_steps = steps_per_epoch * spec.epochs
        self.schedule = spec.schedule_of(self.num_steps)
        self.optimizer = make_optimizer(task.network, spec)
        self.state = FitState()
        self.best_weights: dict[str, Tensor] = {}

    def run(self) -> FitState:
        """Train to the end; the network has the weights of the best epoch then.

        Returns:
            Where the run stands.

        Raises:
            TrainingDivergedError: The loss is not a number any more.
            OutOfMemoryError: A batch does not fit.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._resume()
        total = len(self.task.lengths) * self.spec.epochs
        start = len(self.task.lengths) * self.state.epoch
        hint = "lower nlu.microbatch_tokens"
        with (
            progress("fine-tuning", total=total, unit="utterances", start=start) as bar,
            explain_out_of_memory(hint, where="hunmin finetune nlu"),
        ):
            while self.state.epoch < self.spec.epochs and not self.state.finished:
                self._epoch(bar)
        self.task.network.load_state_dict(self.best_weights, strict=False)
        self.task.network.eval()
        return self.state

    def _epoch(self, bar: ProgressBar) -> None:
        started = time.perf_counter()
        epoch = self.state.epoch
        # Dropout of an epoch depends on nothing before it: a resumed run draws the same.
        torch.manual_seed(seed_from(self.spec.seed, "dropout", epoch) % 2**63)
        self.task.network.train()
        parts: list[dict[str, float]] = []
        for rows in epoch_batches(
            self.task.lengths, self.spec.batch_size, seed=self.spec.seed, epoch=epoch
        ):
            parts.append(self._step(rows))
            bar.advance(len(rows), loss=f"{parts[-1]['loss']:.3f}", epoch=epoch + 1)
        self.state.epoch += 1
        means = {key: float(np.mean([part[key] for part in parts])) for key in parts[0]}
        seconds = time.perf_counter() - started
        self.state.seconds += seconds
        self._record("epoch", **means, seconds=round(seconds, 3))
        self._evaluate(bar)
        self._save()

    def _step(self, rows: Integers) -> dict[str, float]:
        factor = learning_rate_factor(self.schedule, self.state.step, self.num_steps)
        for group in self.optimizer.param_groups:
            group["lr"] = self.spec.learning_rate * factor
        parts: dict[str, float] = {}
        for some in self._microbatches(rows):
            with autocast(self.precision, self.device):
                loss, found = self.task.loss(some, rows)
            self._check(float(loss.detach()), "loss")
            loss.backward()
            for key, value in {"loss": float(loss.detach()), **found}.items():
                parts[key] = parts.get(key, 0.0) + value
        norm = nn.utils.clip_grad_norm_(
            self.task.network.parameters(), self.spec.clip_gradient_norm or math.inf
        )
        self._check(float(norm), "gradient")
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.state.step += 1
        return parts | {"gradient_norm": float(norm)}

    def _microbatches(self, rows: Integers) -> Iterator[Integers]:
        longest = int(self.task.lengths[rows].max())
        size = max(1, self.spec.microbatch_tokens // longest)
        for start in range(0, len(rows), size):
            yield rows[start : start + size]

    def _check(self, value: float, name: str) -> None:
        if not math.isfinite(value):
            raise TrainingDivergedError(
                f"the {name} is not a number any more",
                where=f"epoch {self.state.epoch + 1}, step {self.state.step + 1}",
                given=value,
                hint="lower nlu.learning_rate, or lengthen nlu.warmup",
            )

    def _evaluate(self, bar: ProgressBar) -> None:
        state, spec = self.state, self.spec
        is_last = state.epoch == spec.epochs
        if not is_last and state.epoch % spec.evaluate_every:
            return
        self.task.network.eval()
        scores = self.task.evaluate()
        self._record("evaluation", **scores)
        bar.advance(0, dev=f"{scores['exact_match']:.3f}")
        if state.is_better(scores):
            state.best, state.best_epoch, state.stale = scores, state.epoch, 0
            weights = self.task.network.state_dict()
            self.best_weights = {key: value.detach().clone() for key, value in weights.items()}
        else:
            state.stale += 1
        if self.on_evaluation is not None:
            self.on_evaluation(state.epoch, scores)
        if spec.patience is not None and state.stale >= spec.patience:
            logger.info("no better dev score for %d evaluations: stopping", state.stale)
            state.finished = True

    def _record(self, event: str, **values: Any) -> None:
        record = {"event": event, "epoch": self.state.epoch, "step": self.state.step, **values}
        with (self.folder / METRICS_FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    # -- checkpoints -----------------------------------------------------------------------------

    def _save(self) -> None:
        weights = self.task.network.state_dict()
        with atomic_folder(self.folder / _CHECKPOINT) as draft:
            save_file(_unshared(weights), draft / "model.safetensors")
            save_file(_unshared(self.best_weights), draft / "best.safetensors")
            save_file(self._moments(), draft / "optimizer.safetensors")
            saved = {"identity": self.identity, **asdict(self.state)}
            (draft / "state.json").write_text(json.dumps(saved), encoding="utf-8")

    def forget_checkpoint(self) -> None:
        """Remove the checkpoint of a finished run; the metrics stay."""
        shutil.rmtree(self.folder / _CHECKPOINT, ignore_errors=True)

    def _moments(self) -> dict[str, Tensor]:
        return {
            f"{name}.{moment}": self.optimizer.state[parameter][moment]
            for name, parameter in self.task.network.named_parameters()
            if parameter in self.optimizer.state
            for moment in _MOMENTS
        }

    def _resume(self) -> None:
        checkpoint = self.folder / _CHECKPOINT
        recover_folder(checkpoint)
        if not (checkpoint / "state.json").is_file():
            _forget_metrics(self.folder)
            return
        saved = json.loads((checkpoint / "state.json").read_text(encoding="utf-8"))
        if saved.pop("identity") != self.identity:
            logger.info("%s is of another run: starting anew", checkpoint)
            _forget_metrics(self.folder)
            return
        self.state = FitState(**saved)
        self.task.network.load_state_dict(load_file(checkpoint / "model.safetensors"), strict=False)
        best = load_file(checkpoint / "best.safetensors")
        self.best_weights = {key: value.to(self.device) for key, value in best.items()}
        moments = load_file(checkpoint / "optimizer.safetensors")
        for name, parameter in self.task.network.named_parameters():
            if f"{name}.step" in moments:
                self.optimizer.state[parameter] = {
                    key: moments[f"{name}.{key}"].to(parameter.device) for key in _MOMENTS
                }
        logger.info("resumed after epoch %d", self.state.epoch)


def _unshared(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Leave out names that share memory with an earlier one (tied weights): loading ties them."""
    kept: dict[int, str] = {}
    for name, tensor in weights.items():
        kept.setdefault(tensor.data_ptr() if tensor.numel() else id(tensor), name)
    return {name: weights[name].contiguous() for name in kept.values()}


def _forget_metrics(folder: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        (folder / METRICS_FILE).unlink()


def forget_run(folder: Path) -> None:
    """Remove what a finished run left in its folder, and the folder if nothing else is in it."""
    shutil.rmtree(folder / _CHECKPOINT, ignore_errors=True)
    _forget_metrics(folder)
    # Whatever else lies in it stays.
    with contextlib.suppress(OSError):
        folder.rmdir()


def make_optimizer(network: nn.Module, spec: NluSpec) -> torch.optim.AdamW:
    """Make the optimizer: matrices decay, vectors do not.

    Args:
        network: Its parameters that take gradients are trained.
        spec: Settings.

    Returns:
        The optimizer.
    """
    trained = [p for p in network.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": spec.weight_decay},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=spec.learning_rate,
        betas=spec.betas,
        eps=spec.epsilon,
        fused=True,
    )
