"""What a recipe says about the second stage of a teacher. Imports no torch."""

from __future__ import annotations

from hunmin.core.spec import Spec
from hunmin.data.spec import DataChanges
from hunmin.training.spec import TrainSpec


class Stage2Spec(Spec):
    """Pretraining goes on with unlabelled text of the domain, mixed with general text."""

    train: TrainSpec = TrainSpec()
    """How it is trained; the optimizer starts anew, usually with a smaller learning rate."""
    data: DataChanges = DataChanges()
    """What changes of the section `data`: mostly `weights`, such as `{home-assistant: 0.7}` where
    the first stage had `{home-assistant: 0}`. What keeps general text in the mixture keeps the
    model from forgetting it."""
    in_domain: tuple[str, ...] = ()
    """Names of languages, sources or groups that are the domain, for the report on what was gained
    there and forgotten elsewhere; no names, no report."""
