"""What is told of a transfer: of bytes that cross the wire, of those that need not, and of those that are read here."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modelyard_client import Progress, PullOptions, Registry
from modelyard_client.errors import ClientError
from tests.client.meddler import Hook, Meddling, Request, answer, meddling
from tests.conftest import Account
from tests.live import LiveServer

MIB = 1 << 20
SIZE = 9 * MIB


class Counted(Progress):
    """Adds up what it is told."""

    def __init__(self) -> None:
        self.bytes = {"moved": 0, "spared": 0, "compared": 0}

    def moved(self, count: int) -> None:
        self.bytes["moved"] += count

    def spared(self, count: int) -> None:
        self.bytes["spared"] += count

    def compared(self, count: int) -> None:
        self.bytes["compared"] += count


Counts = Callable[[Callable[[Registry], object], Hook], dict[str, int]]


@pytest.fixture
def counts(server: LiveServer, account: Account) -> Iterator[Counts]:
    """What is told of something that is done over a line."""
    with meddling(server.port) as line:

        def count(work: Callable[[Registry], object], hook: Hook) -> dict[str, int]:
            line.hook, progress = hook, Counted()
            with Registry(line.url, account.token, progress=progress) as registry:
                try:
                    work(registry)
                except ClientError:
                    assert hook is not well
            return progress.bytes

        yield count


def well(_request: Request) -> None:
    return None


def cut_once() -> Hook:
    """Cuts the bytes of a file at 5 MiB, and lets nothing go on then."""
    cuts = [Meddling(up=5 * MIB, down=5 * MIB)]

    def hook(request: Request) -> Meddling | None:
        if cuts:
            of_bytes = request.method == "PATCH" or (request.method, request.path[-10:]) == ("GET", "/large.bin")
            return cuts.pop() if of_bytes else None
        return answer("403 No")

    return hook


def test_bytes_are_told_as_what_they_are(counts: Counts, target: str, tmp_path: Path) -> None:
    large, out = tmp_path / "large.bin", tmp_path / "out"
    large.write_bytes(os.urandom(SIZE))

    def push(registry: Registry) -> None:
        registry.push([large], target)

    def pull(registry: Registry) -> None:
        registry.pull(target, out, options=PullOptions(jobs=1))

    counts(push, cut_once())
    told = counts(push, well)
    assert told["moved"] + told["spared"] == SIZE
    assert told["compared"] == told["spared"] > 4 * MIB  # what is there was read for the SHA-256
    large.write_bytes(os.urandom(SIZE))
    assert counts(push, well) == {"moved": SIZE, "spared": 0, "compared": SIZE}

    counts(pull, cut_once())
    told = counts(pull, well)
    assert told["moved"] + told["spared"] == SIZE
    assert told["compared"] == told["spared"] >= 4 * MIB  # each piece is held against its checksum
    (out / "large.bin").write_bytes(large.read_bytes())
    assert counts(pull, well) == {"moved": 0, "spared": SIZE, "compared": SIZE}


def test_a_comparison_gets_on_as_it_reads(counts: Counts, target: str, tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    for name in ("same", "longer", "gone"):
        (tmp_path / "m" / name).write_text(name)
    counts(lambda registry: registry.push([tmp_path / "m"], target), well)
    (tmp_path / "m" / "longer").write_text("longer than before")
    (tmp_path / "m" / "gone").unlink()
    told = counts(lambda registry: registry.verify(target, tmp_path / "m"), well)
    assert told == {"moved": len("same"), "spared": len("longer") + len("gone"), "compared": 0}
