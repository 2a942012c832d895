"""Work that a server does once at its start, in a process of its own: what it imports and leaves goes with it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable


def aside(work: Callable[[], None]) -> None:
    """Do it in a fork of this process, which has no thread yet, and wait for it.

    What the work raises is told by the fork, in whose stack it goes up to the command; this process then ends with the
    same status. The modules of Alembic and what a migration leaves would be 16 MiB for as long as the server lives.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    process = os.fork()
    if not process:
        work()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
    _, status = os.waitpid(process, 0)
    if status:
        code = os.waitstatus_to_exitcode(status)
        sys.exit(code if code > 0 else 128 - code)  # as shells tell the number of a signal
