"""A server process of its own that tells what requests cost it: memory, and the longest turn of its event loop.

Started as `python -m tests.hostile.watched FOLDER DATABASE`; it prints its port, and root's token lies in the folder.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from pathlib import Path

import structlog
import uvicorn
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from modelyard.app import create_app
from modelyard.process.server import server_options, tune_interpreter
from modelyard.services.people.setup import prepare
from modelyard.settings import Settings

TICK_SECONDS = 0.005
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Watched:
    """The application, and `/-/costs`: memory and the longest turn of the loop since that was last asked for."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._longest = 0.0
        self._ticking: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and scope["path"] == "/-/costs":
            if self._ticking is None:
                self._ticking = asyncio.create_task(self._tick())
            costs = json.dumps({**memory(), "turn": self._longest})
            self._longest = 0.0
            await Response(costs)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _tick(self) -> None:
        """Measure turns in seconds of the processor, so that a busy machine does not lengthen them."""
        while True:
            before = time.process_time()
            await asyncio.sleep(TICK_SECONDS)
            self._longest = max(self._longest, time.process_time() - before)


def memory() -> dict[str, int]:
    """Bytes in use now, and at the peak since this was last asked for."""
    lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
    CLEAR.write_text("5")  # the peak is what is in use now
    return {"peak": int(lines["VmHWM"].split()[0]) * 1024, "now": int(lines["VmRSS"].split()[0]) * 1024}


def main(folder: Path, url: str) -> None:
    """Serve until killed."""
    values: dict[str, object] = {"data_dir": folder, "database_url": url, "log_level": "error"}
    values |= {"rate_limit_failed_logins": 0, "rate_limit_anonymous": 0}  # all come from one address
    settings = Settings(_env_file=None, **values)  # type: ignore[call-arg, arg-type]
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    prepare(settings)
    listener = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    app = Watched(create_app(settings))
    tune_interpreter()
    uvicorn.Server(uvicorn.Config(app, **server_options(settings))).run(sockets=[listener])


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
