"""Large files that come in their order over one connection."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from modelyard_client import Registry
from modelyard_client.errors import ClientError, NoRoom
from modelyard_client.local.files import error_of
from modelyard_client.pull import fetching, streaming
from modelyard_client.pull.partials import Partial
from tests.client.meddler import Meddling, Request, answer
from tests.client.pull.test_pulling import MIB, SIZE, Outcome, content, filled, of_file, pull
from tests.client.pull.test_pulling import Pull as Run

__all__ = ["content", "filled", "pull"]  # fixtures
MARKED = streaming.TRIED_BYTES


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Smaller files come so, and every line is fast."""
    monkeypatch.setattr(fetching, "LEAST_BYTES", SIZE)
    monkeypatch.setattr(streaming, "FAST", 0)
    monkeypatch.setattr(streaming, "NEAR_SECONDS", 1000.0)


def ranges(done: Outcome) -> list[str]:
    return [request.headers["range"] for request in done.requests if of_file(request)]


def mib(done: Outcome) -> int:
    """What has crossed the line, beside a listing."""
    return done.down // MIB


@pytest.mark.parametrize("processors", [1, 2])
def test_on_a_fast_line_one_connection_brings_all_of_it(
    pull: Run, tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch, processors: int
) -> None:
    monkeypatch.setattr(streaming, "_processors", lambda: processors)
    done = pull()
    assert done.error is None
    assert ranges(done) == [f"bytes=0-{MARKED - 1}", f"bytes={MARKED}-{SIZE - 1}"]
    assert mib(done) == SIZE // MIB
    assert (tmp_path / "out" / "large.bin").read_bytes() == content
    assert os.listdir(tmp_path / "out") == ["large.bin"]


def test_on_another_line_the_rest_comes_in_ranges(
    pull: Run, tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "FAST", 1 << 60)
    done = pull()
    assert done.error is None
    assert len(ranges(done)) == 1 + 4
    assert mib(done) == SIZE // MIB
    assert (tmp_path / "out" / "large.bin").read_bytes() == content


def test_a_server_that_is_far_is_asked_for_ranges_at_once(
    pull: Run, tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "NEAR_SECONDS", 0.0)
    assert len(ranges(pull())) == 5
    assert (tmp_path / "out" / "large.bin").read_bytes() == content


def test_who_wants_one_connection_has_one(pull: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "NEAR_SECONDS", 0.0)
    done = pull(jobs=1)
    assert done.error is None
    assert [request.headers.get("range") for request in done.requests if of_file(request)] == [None]


def left_off(pull: Run) -> Outcome:
    """A pull that ends after 20 MiB."""
    asked = [0]

    def hook(request: Request) -> Meddling | None:
        if not of_file(request):
            return None
        asked[0] += 1
        return Meddling(down=20 * MIB - MARKED) if asked[0] == 2 else answer("403 No") if asked[0] > 2 else None

    done = pull(hook)
    assert done.error is not None
    assert mib(done) == 20
    return done


@pytest.mark.parametrize("speed", [0, 1 << 60])
def test_what_was_left_off_goes_on_in_order_or_in_ranges(
    pull: Run, tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch, speed: int
) -> None:
    left_off(pull)
    assert os.listdir(tmp_path / "out") == [".myd"]
    monkeypatch.setattr(streaming, "FAST", speed)
    done = pull()
    assert done.error is None
    assert mib(done) == SIZE // MIB - 20
    assert (tmp_path / "out" / "large.bin").read_bytes() == content
    assert os.listdir(tmp_path / "out") == ["large.bin"]


def test_a_byte_that_flipped_costs_what_is_around_it_alone(pull: Run, tmp_path: Path, content: bytes) -> None:
    left_off(pull)
    (partial,) = (tmp_path / "out" / ".myd").glob("*.part")
    with partial.open("r+b") as file:
        for at in (5 * MIB, 12 * MIB):
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ 1]))
    done = pull()
    assert done.error is None
    assert SIZE - 20 * MIB < done.down < SIZE - 20 * MIB + 4 * MIB
    assert (tmp_path / "out" / "large.bin").read_bytes() == content


def test_a_log_that_is_wrong_costs_bytes_alone(pull: Run, tmp_path: Path, content: bytes) -> None:
    left_off(pull)
    (log,) = (tmp_path / "out" / ".myd").glob("*.log")
    log.write_text(f"{20 * MIB} {'0' * 64}\n")
    done = pull()
    assert done.error is None
    assert mib(done) == SIZE // MIB
    assert (tmp_path / "out" / "large.bin").read_bytes() == content


@pytest.mark.parametrize("processors", [1, 2])
def test_a_disk_without_room_for_the_log_ends_it(pull: Run, monkeypatch: pytest.MonkeyPatch, processors: int) -> None:
    def full(partial: Partial, *_mark: object) -> None:
        raise error_of(partial.path, OSError(28, "No space left on device"))

    monkeypatch.setattr(streaming, "_processors", lambda: processors)
    with monkeypatch.context() as patched:
        patched.setattr(Partial, "mark", full)
        assert isinstance(pull().error, NoRoom)
    assert pull().error is None


def test_a_partial_that_became_shorter_is_told(pull: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    left_off(pull)
    with monkeypatch.context() as patched:
        patched.setattr("modelyard_client.pull.partials.preadv", lambda *_arguments: 0)
        assert isinstance(pull().error, ClientError)
    assert pull().error is None


def test_a_registry_says_how_much_came_now(registry: Registry, filled: str, tmp_path: Path) -> None:
    assert registry.pull(filled, tmp_path / "out").bytes == SIZE
