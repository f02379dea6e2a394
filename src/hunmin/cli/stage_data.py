"""`hunmin data RECIPE`."""

from hunmin.cli.stage import stage_command

command = stage_command(
    "data",
    """Turn documents into token shards with the recipe's tokenizer.

Stages it needs are run first unless they are up to date. Prints the folder of the result.
""",
)
