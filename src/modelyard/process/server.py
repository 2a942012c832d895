"""Running the application: one process or several, with the allocator and shutdown that large transfers need."""

from __future__ import annotations

import ctypes
import gc
import resource
import signal
import socket
import sys
from contextlib import suppress
from functools import partial
from typing import Any

import structlog
from fastapi import FastAPI
from uvicorn import Config
from uvicorn.config import STARTUP_FAILURE

from modelyard import logs
from modelyard.app import create_app
from modelyard.connection.slow_clients import WatchedProtocol
from modelyard.process import listening
from modelyard.process.stopping import StoppingServer
from modelyard.process.supervisor import Supervisor
from modelyard.settings import Settings, load_settings
from modelyard.shared_counts import SharedCounts

log = structlog.get_logger()

KEEP_ALIVE_SECONDS = 75  # longer than a load balancer's, so that it is never surprised by a close
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -2, -3, -8
MALLOC_OPTIONS = (
    (M_MMAP_THRESHOLD, 32 * 1024 * 1024),
    (M_TRIM_THRESHOLD, 4 * 1024 * 1024),  # what 32 downloads held goes back to the system before 32 uploads come
    (M_TOP_PAD, 1024 * 1024),
    (M_ARENA_MAX, 1),
)


# Objects that live as long as the server are left out of every collection, and young ones are looked at less often:
# with Python's own thresholds a page of a thousand runs set off a search of the whole heap, of 150 ms.
GC_THRESHOLDS = (20_000, 20, 50)
# In which a thread that works gives the interpreter to one that waits. A download takes it several times over, so at
# Python's own 5 ms it waits for a search on another thread as long as for its disk, and more.
SWITCH_SECONDS = 0.0005


def serve(settings: Settings, claims: list[socket.socket]) -> None:
    """Serve on sockets that are bound until a signal, then stop as `stopping` says."""
    options = server_options(settings)
    raise_file_limit()  # workers inherit it
    # uvicorn raises the signal that stopped it once more when all is done; a stop that was asked for is no failure.
    signal.signal(signal.SIGTERM, lambda _signal, _frame: sys.exit(0))
    for each in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):  # unless somebody listens to them later on
        signal.signal(each, signal.SIG_IGN)
    log.info("starting", workers=settings.workers, addresses=[each.getsockname()[:2] for each in claims])
    if settings.workers == 1:
        tune_malloc()
        app = create_app(settings)
        tune_interpreter()
        server = StoppingServer(Config(app, **options), settings.shutdown_delay)
        with suppress(KeyboardInterrupt):
            server.run(listening.freed(claims))
        if not server.started:
            sys.exit(STARTUP_FAILURE)
    else:
        # As many again for those that end what they have begun, while others have come for them.
        application = partial(worker_app, SharedCounts.for_processes(2 * settings.workers + 1))
        Supervisor(Config(application, factory=True, **options), claims).run()


def worker_app(shared: SharedCounts) -> FastAPI:
    """The application of one worker process, which reads the settings for itself."""
    settings = load_settings()
    logs.configure(settings.log_level, settings.log_format)
    tune_malloc()
    app = create_app(settings, shared=shared)
    tune_interpreter()
    return app


def server_options(settings: Settings) -> dict[str, Any]:
    """How uvicorn is to serve the application."""
    return {
        "workers": settings.workers,
        "http": WatchedProtocol,
        "ws": "none",
        "proxy_headers": False,  # the application has its own way with them
        "lifespan": "on",
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "timeout_keep_alive": KEEP_ALIVE_SECONDS,
        "timeout_graceful_shutdown": settings.shutdown_timeout,
    }


def tune_interpreter() -> None:
    """Keep the cycle collector away from what was made at the start and from the pages of large answers, and the event
    loop from waiting for other threads.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    gc.enable()


def raise_file_limit() -> None:
    """Let the process open as many files as it may: a connection takes one, and a transfer another."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # some systems name a limit that they do not grant
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def tune_malloc() -> None:
    """Keep glibc from mapping and unmapping each received buffer: measured 2.8 times faster at draining a body."""
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # glibc has it, musl has not
        for option, value in MALLOC_OPTIONS:
            libc.mallopt(option, value)
