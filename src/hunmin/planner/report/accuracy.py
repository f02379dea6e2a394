"""How far predictions were off on published runs: said with every plan."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Accuracy:
    """Errors of predicted against published throughput.

    Args:
        points: Published runs that were predicted.
        median: Median of the absolute errors, as a share of what was published.
        nine_tenths: What nine tenths of the errors are at most.
        where: Where each of them is listed.
    """

    points: int
    median: float
    nine_tenths: float
    where: str

    def describe(self) -> str:
        """Return one sentence."""
        return (
            f"Predicted and published throughput of {self.points} runs differ by "
            f"{self.median:.0%} in the median and by at most {self.nine_tenths:.0%} in nine "
            f"tenths of them ({self.where})."
        )


MEASURED: Accuracy | None = Accuracy(58, 0.042, 0.147, "benchmarks/planner_validation")
"""From the report of benchmarks/planner_validation, of runs that calibrated nothing; a test
compares. None before there is one."""
_NOT_MEASURED = "These predictions have not been compared with published runs yet."
UNKNOWN = (
    "Not in the model: slow and failing devices beside the rate of failures, congestion and other "
    "users of the network, the topology of switches, reading data, evaluations, the kernels of "
    "the day."
)


def caveats() -> tuple[str, str]:
    """Return how good predictions are, and what the model does not know."""
    return (_NOT_MEASURED if MEASURED is None else MEASURED.describe()), UNKNOWN


def accuracy_as_dict() -> dict[str, Any]:
    """Return both as a JSON value."""
    measured = None if MEASURED is None else asdict(MEASURED)
    return {"measured": measured, "not_in_the_model": UNKNOWN}
