"""`hunmin train RECIPE`."""

from hunmin.cli.stage import stage_command

command = stage_command(
    "train",
    """Train the recipe's model, or go on from its newest checkpoint.

\b
hunmin train recipes/quickstart.yaml train.duration='5M tokens'
hunmin train RECIPE train.optimizer.learning_rate=0.003 --run-dir runs/slower

Ctrl-C finishes the step, saves it and ends; the same command goes on from there.

Stages it needs are run first unless they are up to date. Prints the folder of the result.
""",
)
