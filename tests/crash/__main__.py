"""The crash drivers by hand: `python -m tests.crash --kills 200 --seed 7`, or `--cuts 1000` for uploads that go on."""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.crash import cuts
from tests.crash.contents import LARGEST, MIB
from tests.crash.driver import MAX_SECONDS, CrashFailure, Plan, run


def main() -> int:
    """Run as the options say; exit status 1 when a promise was broken, and then the data stay."""
    options = argparse.ArgumentParser(prog="python -m tests.crash", description="Kill a server, check what is left.")
    options.add_argument("--kills", type=int, default=200)
    options.add_argument("--cuts", type=int, default=0, help="of uploads that go on, instead of kills")
    options.add_argument("--restarts", type=float, default=0.05, help="share of the cuts that are kills of the server")
    options.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options.add_argument("--largest", type=int, help="MiB of the largest file")
    options.add_argument("--seconds", type=float, default=MAX_SECONDS, help="at most, from a start to its kill")
    options.add_argument("--workers", type=int, default=2, help="processes of the server, at most")
    options.add_argument("--database-url", help="an empty PostgreSQL database instead of SQLite")
    options.add_argument("--kill-database", action="store_true", help="kill PostgreSQL instead of the server")
    options.add_argument("--folder", type=Path, help="an empty folder for the data; by default a new one")
    chosen = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the server that is running ends with the driver
    folder = chosen.folder or Path(tempfile.mkdtemp(prefix="crash-"))
    try:
        _run(folder, chosen, lambda line: print(line, flush=True))  # noqa: T201 - for whoever watches
    except CrashFailure as failure:
        print(failure, file=sys.stderr)  # noqa: T201
        return 1
    if chosen.folder is None:
        shutil.rmtree(folder)
    return 0


def _run(folder: Path, chosen: argparse.Namespace, say: Callable[[str], None]) -> None:
    seed, workers, url = chosen.seed, chosen.workers, chosen.database_url
    if chosen.cuts:
        largest = chosen.largest * MIB if chosen.largest else cuts.LARGEST
        cuts.run(folder, cuts.Cuts(seed, chosen.cuts, chosen.restarts, largest, workers, url), say)
    else:
        largest = chosen.largest * MIB if chosen.largest else LARGEST
        run(folder, Plan(seed, chosen.kills, largest, chosen.seconds, workers, url, chosen.kill_database), say)


if __name__ == "__main__":
    sys.exit(main())
