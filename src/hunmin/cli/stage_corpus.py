"""`hunmin corpus RECIPE`."""

from hunmin.cli.stage import stage_command

command = stage_command(
    "corpus",
    """Turn the sources of a recipe into clean, de-duplicated documents.

\b
hunmin corpus recipes/quickstart.yaml
hunmin corpus RECIPE 'corpus.sources=[{kind: files, paths: [mytexts/]}]'

Stages it needs are run first unless they are up to date. Prints the folder of the result.
""",
)
