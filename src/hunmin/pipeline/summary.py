"""What a person reads at the end of a run: scores, samples, and what to try next."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hunmin.core.units import format_count, format_duration
from hunmin.pipeline.run import StageOutcome

MODELS = {
    "train": "The model",
    "stage2": "After its second stage",
    "intermediate": "The intermediate student",
    "student": "The student",
}
# Those trained before kinds were recorded are decoders.
_WRITERS = ("decoder", None)
_COMMAND = "거실 불 켜줘"


def summarize(outcomes: Sequence[StageOutcome], folder: Path, program: str = "hunmin") -> str:
    """Return the end of `hunmin run` as text.

    Args:
        outcomes: The stages, in order.
        folder: The run folder.
        program: How the command line was called, for the commands that are shown.

    Returns:
        Several blocks: time, scores, samples, next commands; those whose stage was there.
    """
    by_name = {outcome.stage: outcome for outcome in outcomes}
    blocks = [_times(outcomes)]
    if "evaluate" in by_name:
        blocks.append(_scores(by_name["evaluate"]))
    if "nlu" in by_name:
        blocks.append(_understanding(by_name["nlu"]))
    if "generate" in by_name:
        blocks.append(_samples(by_name["generate"]))
    blocks.append(_next_commands(by_name, folder, program))
    return "\n" + "\n\n".join(blocks)


def _times(outcomes: Sequence[StageOutcome]) -> str:
    parts = [
        f"{outcome.stage} {format_duration(outcome.seconds) if outcome.reason else 'skipped'}"
        for outcome in outcomes
    ]
    spent = sum(outcome.seconds for outcome in outcomes if outcome.reason)
    return f"Finished in {format_duration(spent)}: {', '.join(parts)}"


def _scores(outcome: StageOutcome) -> str:
    from hunmin.evaluation.results import read_report
    from hunmin.evaluation.table import summary_table

    return summary_table(read_report(outcome.artifact.path))


def _samples(outcome: StageOutcome) -> str:
    from hunmin.serving.samples import read_samples

    lines = ["It writes (the beginning in [brackets] was given):"]
    for text in read_samples(outcome.artifact):
        shown = " ".join(text.text.splitlines())
        cut = "" if text.finish_reason == "stop" else " …"
        lines.append(f"  {text.language:<6} [{text.prompt}]{shown}{cut}")
    return "\n".join(lines)


def _understanding(outcome: StageOutcome) -> str:
    from hunmin.adapt.nlu.report import read_report, report_headline

    headline = report_headline(read_report(outcome.artifact.path))
    lines = [line.removeprefix("- ").replace("**", "") for line in headline]
    return "\n".join(["Intents and slots, in per cent with 95 % intervals:", *lines])


def _next_commands(by_name: dict[str, StageOutcome], folder: Path, program: str) -> str:
    lines = [
        f"The report: {by_name[name].artifact.path}/report.md"
        for name in ("evaluate", "nlu", "export")
        if name in by_name
    ]
    lines += [_describe_model(by_name[name]) for name in MODELS if name in by_name]
    lines += ["", "Try next:"]
    lines += [f"  {program} {command}" for command in _commands(by_name, folder)]
    return "\n".join(lines).lstrip("\n")


def _describe_model(outcome: StageOutcome) -> str:
    facts = outcome.artifact.facts
    name = MODELS[outcome.stage]
    return f"{name}: {outcome.artifact.path} ({format_count(facts['parameters'])} parameters)"


def _commands(by_name: dict[str, StageOutcome], folder: Path) -> list[str]:
    if "nlu" in by_name:
        served = by_name["export" if "export" in by_name else "nlu"].artifact.path
        return [f'ask {folder} "{_COMMAND}"', f"serve {served}"]
    if "train" in by_name and by_name["train"].artifact.facts.get("model_kind") in _WRITERS:
        prompt = f'generate {folder} --prompt "{_prompt(by_name)}" --num 5'
        return [prompt, f"chat {folder}", f"serve {folder}"]
    return [f"inspect {outcome.artifact.path}" for outcome in by_name.values()][-1:]


def _prompt(by_name: dict[str, StageOutcome]) -> str:
    """Return a prompt that this run has shown; none gives a text from its beginning."""
    if "generate" not in by_name:
        return ""
    from hunmin.serving.samples import read_samples

    return read_samples(by_name["generate"].artifact)[0].prompt
