"""`hunmin corpus build RECIPE`."""

from hunmin.cli.stage import stage_command

command = stage_command(
    "corpus",
    """Turn the sources of a recipe into clean, de-duplicated documents, and report on it.

\b
hunmin corpus build recipes/corpus-korean.yaml
hunmin corpus build RECIPE 'corpus.sources=[{kind: files, paths: [mytexts/]}]'
hunmin corpus build RECIPE corpus.engine=ray corpus.address=auto

An interrupted build goes on where it was when the same command is given again. Prints the folder
of the result; report.html in it shows what was read, what was dropped and why.
""",
)
