"""The console script. It is light: Ctrl-C ends it without a word of Python's while the command is still imported."""

from __future__ import annotations

import os
import signal

INTERRUPTED = 130  # as `errors.Interrupted` has it, which is imported later


def main() -> None:
    """Import the command, and run it."""
    heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else whoever began it wants it to go on
    if heard:
        signal.signal(signal.SIGINT, lambda _number, _frame: os._exit(INTERRUPTED))
    from modelyard_client.cli.main import main as command  # noqa: PLC0415 - as above

    if heard:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    command()
