"""The command line: one thin module per verb, imported when it is called."""
