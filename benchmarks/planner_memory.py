"""The planner's memory model beside what hunmin's own training step allocates.

Every case is predicted and then rehearsed: the real code on tensors without values, counted by
every operation (see `planner_allocations`). With --device cuda the same steps run on a GPU, in a
process group whose collectives do nothing, and its allocator is asked; use --layers there to make
models fit. --device cpu does the same with real memory, for small models.

    python benchmarks/planner_memory.py
    python benchmarks/planner_memory.py --only 13b --layers 4
    python benchmarks/planner_memory.py --device cuda --layers 8 --compile
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from harness import RESULTS, markdown_table, write_result
from planner_allocations import Allocations, allocations, real_peak
from transformers import PreTrainedConfig

from hunmin.core.units import format_bytes
from hunmin.models.build import model_config
from hunmin.models.spec import ModelSpec
from hunmin.parallel.layout import Layout
from hunmin.planner.catalogue.huggingface import shape_of_config
from hunmin.planner.memory import HUNMIN, MemoryUse, memory_use
from hunmin.planner.strategy import Strategy

PARTS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "states": (("parameters", "optimizer"), ("parameters", "optimizer")),
    "gathered": (("gathered",), ("gathered",)),
    "gradients": (("gradients", "communication"), ("communication",)),
    "computing": (("activations", "logits", "working"), ("activations", "backward", "working")),
}
"""What is compared, in the planner's names and in those of the counter."""


@dataclass(frozen=True)
class Case:
    """One configuration.

    Args:
        model: Preset of `hunmin.models.presets`, or a size of the hunmin family.
        vocab_size: Rows of the embedding.
        context: Tokens in a row.
        group: Partition group.
        tensor: Ranks that split matrices.
        copies: Copies of the model.
        is_packed: Whether rows hold several documents.
        choices: Of the strategy; one row, AdamW, bf16 and fused attention if not said otherwise.
    """

    model: str
    vocab_size: int
    context: int
    group: int
    tensor: int = 1
    copies: int = 1
    is_packed: bool = True
    choices: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def name(self) -> str:
        """One line for people."""
        layout = f"p {self.group}, t {self.tensor}, {self.copies} x"
        chosen = ", ".join(f"{key} {value}" for key, value in self.choices.items())
        packed = "" if self.is_packed else ", one document a row"
        return f"{self.model}, {self.context} tokens, {layout}: {chosen or '-'}{packed}"

    def config(self, layers: int | None = None) -> PreTrainedConfig:
        """Return the model, at most so many blocks deep."""
        kind = {"preset": self.model} if "-" in self.model else {"size": self.model}
        spec = ModelSpec(**kind)
        config = model_config(spec, vocab_size=self.vocab_size, context=self.context)
        return (
            config
            if layers is None
            else model_config(
                spec.model_copy(update={"layers": min(layers, config.num_hidden_layers)}),
                vocab_size=self.vocab_size,
                context=self.context,
            )
        )

    @property
    def strategy(self) -> Strategy:
        """How it is trained."""
        ranks = self.group * self.tensor
        node = min(8, ranks)
        is_hierarchical = ranks > node and self.tensor < node
        layout = Layout(ranks * self.copies, node, self.group, self.tensor, is_hierarchical)
        default = Strategy(layout, micro_batch=1, microsteps=1, recompute="none", loss_chunk=2048)
        return dataclasses.replace(default, **self.choices)


BLOCKS = {"recompute": "blocks"}
CASES = (
    Case("1.3B", 32_768, 2048, 1, choices={"microsteps": 2}),
    Case("hyperclova-1.3b", 51_200, 2048, 1, choices={**BLOCKS, "optimizer": "muon"}),
    Case("hyperclova-1.3b", 51_200, 2048, 8),
    Case("hyperclova-1.3b", 51_200, 2048, 8, is_packed=False, choices={"precision": "fp32"}),
    Case("hyperclova-1.3b", 51_200, 2048, 1, copies=8, choices=BLOCKS),
    Case("hyperclova-1.3b", 51_200, 2048, 2, copies=4, choices={"microsteps": 2}),
    Case("hyperclova-1.3b", 51_200, 1024, 4, choices={"attention": "plain", "micro_batch": 4}),
    Case("hyperclova-6.9b", 51_200, 2048, 8, 2, 4, choices={**BLOCKS, "micro_batch": 4}),
    Case("hyperclova-6.9b", 51_200, 2048, 64, 2),
    Case("hyperclova-13b", 51_200, 2048, 64, choices=BLOCKS),
    Case("hyperclova-13b", 51_200, 2048, 64, 1, 2, choices={**BLOCKS, "optimizer": "muon"}),
    Case("1.3B", 32_768, 2048, 4, 1, 2, choices={"optimizer": "muon", "micro_batch": 4}),
    Case("1.3B", 32_768, 1024, 8, choices={"attention": "plain", "micro_batch": 4}),
    Case("1.3B", 32_768, 2048, 8, choices={**BLOCKS, "precision": "fp32", "micro_batch": 4}),
    Case("7B", 65_536, 4096, 8, 2),
    Case("7B", 65_536, 4096, 8, is_packed=False, choices={"prefetch": 3, "loss_chunk": 512}),
    Case("7B", 128_000, 8192, 64, choices=BLOCKS),
    Case("7B", 65_536, 4096, 64, choices={**BLOCKS, "reshard_after_forward": False, "prefetch": 0}),
)


@dataclass(frozen=True)
class Compared:
    """A prediction and what was allocated.

    Args:
        case: What was trained.
        predicted: By the planner.
        total: Bytes that were allocated at the peak.
        counted: What for; None where only the allocator was asked.
    """

    case: Case
    predicted: MemoryUse
    total: int
    counted: Allocations | None = None

    @property
    def error(self) -> float:
        """Of the total; positive if too much was predicted."""
        return self.predicted.total / self.total - 1

    def parts(self) -> Iterator[tuple[str, float, float]]:
        """Yield what of the peak was predicted and what was counted."""
        for part, (ours, theirs) in PARTS.items() if self.counted else ():
            predicted = sum(getattr(self.predicted, name) for name in ours)
            yield part, predicted, sum(self.counted.parts.get(name, 0) for name in theirs)


def compare(
    case: Case, *, layers: int | None = None, device: str = "none", compiles: bool = False
) -> Compared:
    """Predict one case and count its allocations.

    Args:
        case: What to train.
        layers: Most blocks; None for all.
        device: cpu or cuda for real memory; none for tensors without values.
        compiles: Whether blocks are compiled, with real memory.

    Returns:
        Both.
    """
    config = case.config(layers)
    shape = shape_of_config(config.to_dict(), case.model, Path(case.model))
    habits = dataclasses.replace(HUNMIN, masks_documents=case.is_packed)
    predicted = memory_use(shape, case.strategy, habits)
    if device != "none":
        peak = real_peak(
            config,
            case.strategy,
            case.context,
            torch.device(device),
            is_packed=case.is_packed,
            compiles=compiles,
        )
        return Compared(case, predicted, peak)
    counted = allocations(config, case.strategy, case.context, is_packed=case.is_packed)
    return Compared(case, predicted, counted.total, counted)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("none", "cpu", "cuda"), default="none")
    parser.add_argument("--layers", type=int, help="make models at most so deep")
    parser.add_argument("--compile", action="store_true", help="compile blocks, with --device")
    parser.add_argument("--only", default="", help="models whose name holds this")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the results")
    return parser.parse_args()


def main() -> None:
    """Compare, print and write the result."""
    options = parse_arguments()
    found = []
    for case in CASES:
        # Plain attention is that of `models.attention`, which is for CPUs.
        runs_here = options.device != "cuda" or case.strategy.attention == "fused"
        if options.only in case.model and runs_here:
            started = time.perf_counter()
            found.append(
                compare(
                    case,
                    layers=options.layers,
                    device=options.device,
                    compiles=options.compile,
                )
            )
            seconds = time.perf_counter() - started
            print(f"{found[-1].error:+6.1%}  {case.name}  ({seconds:.0f} s)", flush=True)
    errors = [abs(compared.error) for compared in found]
    summary = f"median {statistics.median(errors):.1%}, largest {max(errors):.1%}"
    title = f"Memory of a rank, predicted and allocated: {len(found)} cases, error {summary}"
    details = {
        "command": f"python {' '.join(sys.argv)}",
        "device": "tensors without values" if options.device == "none" else options.device,
        "cases": [_record(compared) for compared in found],
    }
    name = "planner-memory" if options.device == "none" else f"planner-memory-{options.device}"
    write_result(name, title, _table(found), details, options.results)


def _table(found: list[Compared]) -> str:
    header = ("case", "predicted", "allocated", "error", "moment", *PARTS)
    return markdown_table(header, [_row(compared) for compared in found])


def _row(compared: Compared) -> tuple[str, ...]:
    parts = [
        f"{format_bytes(ours)} / {format_bytes(theirs)}" for _, ours, theirs in compared.parts()
    ]
    return (
        compared.case.name,
        format_bytes(compared.predicted.total),
        format_bytes(compared.total),
        f"{compared.error:+.1%}",
        compared.predicted.moment,
        *(parts or ["-"] * len(PARTS)),
    )


def _record(compared: Compared) -> dict[str, Any]:
    return {
        "case": compared.case.name,
        "predicted": compared.predicted.as_dict(),
        "allocated": compared.total,
        "error": compared.error,
        "counted": None if compared.counted is None else dataclasses.asdict(compared.counted),
    }


if __name__ == "__main__":
    main()
