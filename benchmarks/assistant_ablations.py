"""The ablations of the Alexa Teacher Model on open data: which step of the chain is worth what.

Every arm is `recipes/assistant.yaml` with other values: a model that is pretrained or taught, and
then fine-tuned twice, on English commands alone and on those of all languages (objectives on the
latter). Arms of one seed
share their teachers; seeds decide weights, masks, order and dropout. `--show` prints the commands
of a seed. Finished models are kept; give the same command again to go on.

    python benchmarks/assistant_ablations.py
    python benchmarks/assistant_ablations.py --show
    python benchmarks/assistant_ablations_report.py
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from hunmin.core.artifact import MANIFEST_NAME

RECIPE = Path("recipes/assistant.yaml")
FOLDER = Path("runs/assistant-ablations")
IN_DOMAIN = "{home-assistant: 0.6, words: 0.1}"
BATCH = 2048
SHARED = (
    "train.duration=600 steps",
    *(
        f"{section}train.{key}={BATCH}"
        for section in ("", "stage2.", "intermediate.", "student.")
        for key in ("batch_tokens", "microbatch_tokens")
    ),
)
"""What makes the chain of the recipe small enough for three seeds."""
ALONE = (f"data.weights={IN_DOMAIN}", "train.duration=300 steps")
"""Pretraining of a student without a teacher: its own text and steps."""
TWO_SIDES = "{preset: hunmin-seq2seq, layers: 2, decoder_layers: 2, width: 192, heads: 3}"


@dataclass(frozen=True)
class Arm:
    """A way to make a model.

    Args:
        stage: The stage that makes it.
        parent: Stage and arm of the model it starts from or learns from; none for the first stage.
        settings: What differs from the recipe.
        labels: Which labels its model is fine-tuned on, of `FINETUNING`.
    """

    stage: str = "train"
    parent: tuple[str, str] | None = None
    settings: tuple[str, ...] = ()
    labels: tuple[str, ...] = ("english", "all")

    @property
    def folder(self) -> str:
        """Folder of the stage in a run."""
        return "model" if self.stage == "train" else self.stage


def _objective(model: str, objectives: str) -> Arm:
    settings = (*ALONE, f"model={model}", f"data.objectives={objectives}")
    return Arm(settings=settings, labels=("all",))


ARMS = {
    "teacher": Arm(),
    "teacher, stage 2": Arm("stage2", ("train", "teacher")),
    "intermediate": Arm("intermediate", ("stage2", "teacher, stage 2")),
    "student, stepwise": Arm("student", ("intermediate", "intermediate")),
    "student, direct": Arm("student", ("stage2", "teacher, stage 2")),
    "student, direct, own weights": Arm(
        "student", ("stage2", "teacher, stage 2"), ("student.initialization=scratch",)
    ),
    "student of the stage-1 teacher": Arm("student", ("train", "teacher")),
    "student without a teacher": Arm(settings=(*ALONE, "model.size=1M")),
    "masked": _objective(
        "{preset: alexatm-encoder-17m, layers: 2, width: 192, heads: 3}",
        "[{kind: masked, density: 0.3}]",
    ),
    "causal": _objective("{preset: hunmin, size: 1M}", "[{kind: causal}]"),
    "prefix": _objective(TWO_SIDES, "[{kind: prefix}]"),
    "spans": _objective(TWO_SIDES, "[{kind: spans}]"),
    "deshuffle": _objective(TWO_SIDES, "[{kind: deshuffle}]"),
    "infill": _objective(TWO_SIDES, "[{kind: infill}]"),
    "denoise": _objective(
        TWO_SIDES, "[{kind: denoise, weight: 0.8}, {kind: continue, weight: 0.2}]"
    ),
}
"""In an order in which each finds its parent."""
FINETUNING = {
    "english": ("--train", "en"),
    "all": ("max_train_utterances=200",),
}
"""What `hunmin finetune nlu` is told: labels of English alone, or of every language."""


NLU = ("pooling=mean", "epochs=4")
"""Settings of every fine-tuning, beside those of the preset."""


@dataclass(frozen=True)
class Run:
    """The commands of one seed.

    Args:
        folder: Where all seeds lie.
        seed: Of weights, masks, order and dropout.
        threads: CPU threads of a command.
    """

    folder: Path
    seed: int
    threads: int

    def arm(self, name: str) -> Path:
        """Return the run folder of an arm."""
        return self.folder / f"seed{self.seed}" / name.replace(", ", "-").replace(" ", "-")

    def model(self, name: str) -> Path:
        """Return the folder of an arm's pretrained model."""
        return self.arm(name) / ARMS[name].folder

    def pretraining(self, name: str) -> list[str]:
        """Return the command that makes an arm's pretrained model."""
        arm = ARMS[name]
        uses = [f"use.{stage}={self.folder / stage}" for stage in ("corpus", "tokenizer", "data")]
        without = [f"{stage}=null" for stage in ("corpus", "tokenizer")]
        if arm.parent is not None:
            stage, parent = arm.parent
            uses.append(f"use.{stage}={self.model(parent)}")
            stages = ("train", "stage2", "intermediate")
            without += [f"{each}=null" for each in stages if each not in (arm.stage, stage)]
        section = "train" if arm.stage == "train" else f"{arm.stage}.train"
        settings = (*SHARED, *arm.settings, f"data.seed={self.seed}")
        settings += (f"{section}.seed={self.seed}", f"{section}.threads={self.threads}")
        kept = [each for each in settings if each.split(".")[0] not in _names(without)]
        place = ("--run-dir", str(self.arm(name)), "--until", arm.stage)
        return ["run", str(RECIPE), *uses, *without, *kept, *place]

    def finetuning(self, name: str, labels: str) -> list[str]:
        """Return the command that fine-tunes an arm's model."""
        place = (
            "--data",
            str(self.folder / "corpus" / "massive"),
            "--out",
            str(self.nlu(name, labels)),
        )
        settings = (f"seed={self.seed}", f"threads={self.threads}", *NLU)
        return ["finetune", "nlu", str(self.model(name)), *place, *settings, *FINETUNING[labels]]

    def nlu(self, name: str, labels: str) -> Path:
        """Return the folder of an arm's fine-tuned model."""
        return self.arm(name) / labels

    def commands(self) -> Iterator[tuple[Path, list[str]]]:
        """Yield what each command makes, and the command."""
        for name in ARMS:
            yield self.model(name), self.pretraining(name)
            for labels in ARMS[name].labels:
                yield self.nlu(name, labels), self.finetuning(name, labels)


def _names(settings: list[str]) -> set[str]:
    return {each.split("=")[0] for each in settings}


def base_command(folder: Path) -> list[str]:
    """Return the command that makes corpus, tokenizer and tokens for all arms."""
    reserve = "tokenizer.reserve=[mask, spans, continue]"
    return ["run", str(RECIPE), reserve, "--run-dir", str(folder), "--until", "data"]


def make(output: Path, command: list[str], threads: int) -> None:
    """Run a command of hunmin unless what it makes is there; its output is shown if it fails."""
    if (output / MANIFEST_NAME).is_file():
        return
    program = [str(Path(sys.executable).with_name("hunmin")), *command]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"}
    done = subprocess.run(program, capture_output=True, text=True, env=environment)
    if done.returncode:
        sys.exit(f"{shlex.join(program)}\n{done.stdout}{done.stderr}")
    print(f"made {output}", flush=True)


def run_seed(run: Run) -> None:
    """Make all models of a seed."""
    for output, command in run.commands():
        make(output, command, run.threads)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--jobs", type=int, default=2, help="seeds at a time")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of each")
    parser.add_argument("--show", action="store_true", help="print the commands of the first seed")
    return parser.parse_args()


def main() -> None:
    """Make what is missing."""
    options = parse_arguments()
    runs = [Run(options.folder, seed, options.threads) for seed in options.seeds]
    if options.show:
        commands = [base_command(options.folder), *(each for _, each in runs[0].commands())]
        print("\n".join(shlex.join(["hunmin", *command]) for command in commands))
        return
    make(options.folder / "data", base_command(options.folder), options.jobs * options.threads)
    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(run_seed, runs))


if __name__ == "__main__":
    main()
