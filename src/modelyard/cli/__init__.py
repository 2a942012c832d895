"""The commands. Results go to standard output, errors to standard error in one line without a traceback."""

from modelyard.cli.entry import cli, main

__all__ = ["cli", "main"]
