"""`python -m hunmin`."""

from hunmin.cli.main import main

main()
