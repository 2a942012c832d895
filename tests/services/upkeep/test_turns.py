"""Upkeep goes on once at a time, whichever processes and machines begin it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from modelyard.cli.common import Busy
from modelyard.registry.backends import TurnTaken
from modelyard.registry.engine import Database
from modelyard.services.people.setup import prepare
from modelyard.settings import Settings
from tests.commands import run
from tests.databases import migrated_database

HOLD = """
import sys
from modelyard.registry.engine import Database
with Database(sys.argv[1]).alone(sys.argv[2]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    chosen = migrated_database(tmp_path)
    prepare(Settings(_env_file=None, data_dir=tmp_path, database_url=chosen))  # type: ignore[call-arg]
    return chosen


@contextmanager
def held(url: str, work: str) -> Iterator[subprocess.Popen[str]]:
    """A process that is at work until the block ends."""
    command = [sys.executable, "-c", HOLD, url, work]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def upkeep(folder: Path, url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(folder, *arguments, DATA_DIR=str(folder), DATABASE_URL=url)


@pytest.mark.parametrize("work", ["gc", "check"])
def test_a_second_one_says_so_in_one_line_and_has_a_status_of_its_own(tmp_path: Path, url: str, work: str) -> None:
    with held(url, work):
        second = upkeep(tmp_path, url, work)
        assert (second.returncode, second.stdout) == (Busy.exit_code, "")
        assert second.stderr == f"modelyard: a {work} of this registry is running already\n"
        other = "check" if work == "gc" else "gc"
        assert upkeep(tmp_path, url, other).returncode == 0


def test_a_killed_one_gives_its_turn_back(tmp_path: Path, url: str) -> None:
    with held(url, "gc") as holder:
        holder.kill()
        holder.wait()
        for _ in range(20):  # PostgreSQL has yet to notice
            next_one = upkeep(tmp_path, url, "gc")
            if next_one.returncode != Busy.exit_code:
                break
        assert next_one.returncode == 0, next_one.stderr


def test_one_that_ends_or_fails_gives_its_turn_back(url: str) -> None:
    database = Database(url)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), database.alone("gc"):
            1 / 0  # noqa: B018
    with database.alone("gc"), pytest.raises(TurnTaken), database.alone("gc"):
        pass
    with database.alone("gc"):
        pass
    database.close()


def test_of_many_at_once_one_works(url: str) -> None:
    database, worked, refused = Database(url), [], []
    barrier, done = threading.Barrier(8), threading.Event()

    def run() -> None:
        barrier.wait(30)
        try:
            with database.alone("gc"):
                worked.append(1)
                done.wait(30)
        except TurnTaken:
            refused.append(1)
            if len(refused) == 7:
                done.set()

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(worked), len(refused)) == (1, 7)
    database.close()
