"""`hunmin evaluate RECIPE`."""

from hunmin.cli.stage import stage_command

command = stage_command(
    "evaluate",
    """Score the recipe's model on held-out documents beside two baselines.

Stages it needs are run first unless they are up to date. Prints the folder of the result.
""",
)
