"""Ctrl-C that ends the command whatever it is at: while the C library looks for a host's address, no Python code runs
in the main thread, and nothing would happen for as long as that takes.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

from modelyard_client.errors import Interrupted

LEFT_SECONDS = 0.8  # to whoever can end by himself


def insist() -> None:
    """Have the process end within a second of Ctrl-C from now on."""
    if sys.platform == "win32":  # pragma: no cover - its signals write to sockets alone
        return
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    threading.Thread(target=_wait, args=(reading,), daemon=True).start()


def _wait(reading: int) -> None:
    while os.read(reading, 1) != bytes([signal.SIGINT]):
        pass
    time.sleep(LEFT_SECONDS)
    os._exit(Interrupted.exit_status)
