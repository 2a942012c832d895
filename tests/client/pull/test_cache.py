"""The cache of `myd pull --cache`: optional, verified, prunable."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from modelyard_client import PullOptions, Registry
from modelyard_client.errors import NotFound, Partly, Refused
from modelyard_client.local.blobs import Blobs
from modelyard_client.local.places import cache_folder
from modelyard_client.results import RemoteFile
from modelyard_client.stopping import Stop
from tests.client.conftest import Myd
from tests.client.meddler import answer, meddling
from tests.conftest import Account
from tests.live import LiveServer

MIB = 1 << 20
CACHED, OFFLINE = PullOptions(cached=True), PullOptions(cached=True, offline=True)


@pytest.fixture
def filled(registry: Registry, target: str, tmp_path: Path) -> str:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "large.bin").write_bytes(os.urandom(5 * MIB))
    (tmp_path / "m" / "small.bin").write_bytes(b"small")
    registry.push([tmp_path / "m"], target)
    return target


def same(folder: Path, other: Path) -> bool:
    names = sorted(os.listdir(folder))
    return names == sorted(os.listdir(other)) and all(
        (folder / name).read_bytes() == (other / name).read_bytes() for name in names
    )


def outcomes(registry: Registry, target: str, folder: Path, options: PullOptions) -> set[str]:
    return {file.outcome for file in registry.pull(target, folder, options=options).files}


def test_what_was_kept_is_taken_and_no_byte_of_it_comes_again(registry: Registry, filled: str, tmp_path: Path) -> None:
    assert outcomes(registry, filled, tmp_path / "a", CACHED) == {"received"}
    assert outcomes(registry, filled, tmp_path / "b", CACHED) == {"cached"}
    assert same(tmp_path / "b", tmp_path / "m")
    assert outcomes(registry, filled, tmp_path / "c", PullOptions()) == {"received"}


def test_a_file_that_was_brought_keeps_its_times_when_the_cache_takes_it_for_another(
    registry: Registry, filled: str, tmp_path: Path
) -> None:
    registry.pull(filled, tmp_path / "a", options=CACHED)
    before = (tmp_path / "a" / "large.bin").stat()
    os.utime(tmp_path / "a" / "small.bin", (0, 0))
    assert outcomes(registry, filled, tmp_path / "b", CACHED) == {"cached"}
    after = (tmp_path / "a" / "large.bin").stat()
    assert (after.st_mtime_ns, after.st_ctime_ns) == (before.st_mtime_ns, before.st_ctime_ns)
    assert Blobs(cache_folder()).prune(1) == (0, 0)  # also what is old was taken just now
    assert Blobs(cache_folder()).prune(0)[0] == 2
    assert os.listdir(cache_folder() / "uses") == []


def test_offline_asks_nobody_and_what_is_not_kept_is_missing(
    server: LiveServer, account: Account, filled: str, tmp_path: Path
) -> None:
    with meddling(server.port) as line:
        Registry(line.url, account.token).pull(filled, tmp_path / "a", options=CACHED)
        count = len(line.requests)
        nowhere = Registry(line.url, account.token)
        assert outcomes(nowhere, filled, tmp_path / "b", OFFLINE) == {"cached"}
        assert len(line.requests) == count
    assert same(tmp_path / "b", tmp_path / "m")
    with pytest.raises(NotFound, match="never seen"):
        nowhere.pull(f"{filled}9", tmp_path / "b", options=OFFLINE)
    Blobs(cache_folder()).prune(0)
    with pytest.raises(NotFound, match="not in the cache"):
        nowhere.pull(filled, tmp_path / "c", options=OFFLINE)


def test_what_was_changed_since_it_was_kept_is_found_and_brought(
    registry: Registry, filled: str, tmp_path: Path
) -> None:
    registry.pull(filled, tmp_path / "a", options=CACHED)
    with (tmp_path / "a" / "large.bin").open("r+b") as file:  # it shares its bytes with what was kept
        file.write(b"changed")
    done = registry.pull(filled, tmp_path / "b", options=CACHED)
    assert {file.path: file.outcome for file in done.files} == {"large.bin": "received", "small.bin": "cached"}
    assert same(tmp_path / "b", tmp_path / "m")
    with (tmp_path / "b" / "large.bin").open("r+b") as file:
        file.write(b"changed")
    with pytest.raises(Partly, match="not in the cache"):
        registry.pull(filled, tmp_path / "c", options=OFFLINE)


def test_the_command_verifies_and_prunes(myd: Myd, registry: Registry, filled: str, tmp_path: Path) -> None:
    registry.pull(filled, tmp_path / "a", options=CACHED)
    assert myd("cache", "verify").status == 0
    with (tmp_path / "a" / "small.bin").open("r+b") as file:
        file.write(b"SMALL")
    assert myd("cache", "verify", "--json").status == 5
    assert json.loads(myd("cache", "verify", "--json").out) == {"forgotten": []}
    assert json.loads(myd("cache", "prune", "--json").out) == {"files": 0, "bytes": 0}
    assert json.loads(myd("cache", "prune", "--days", "0", "--json").out) == {"files": 1, "bytes": 5 * MIB}


def test_a_cache_that_cannot_be_written_hinders_nobody(
    registry: Registry, filled: str, tmp_path: Path, home: Path
) -> None:
    (home / "cache").mkdir(exist_ok=True)
    for path in (home / "cache").rglob("*"):
        if path.is_file():
            path.unlink()
    (home / "cache" / "modelyard").rmdir()
    (home / "cache" / "modelyard").write_text("in the way")
    assert outcomes(registry, filled, tmp_path / "a", CACHED) == {"received"}
    assert same(tmp_path / "a", tmp_path / "m")


def test_what_is_on_another_file_system_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_link(_self: Path, _target: Path) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", no_link)
    (tmp_path / "x").write_bytes(b"x")
    sha256 = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    blobs = Blobs(tmp_path / "cache")
    blobs.keep(tmp_path / "x", sha256)
    assert blobs.take(RemoteFile("x", 1, sha256), tmp_path / "y", Stop())
    assert (tmp_path / "y").read_bytes() == b"x"


def test_a_server_that_names_a_path_for_a_sha256_reaches_no_other_file(
    server: LiveServer, account: Account, filled: str, tmp_path: Path
) -> None:
    victim = cache_folder().parent / "victim"
    victim.parent.mkdir(parents=True, exist_ok=True)
    victim.write_text("mine")
    row = {"id": 1, "file_name": "small.bin", "size": 4, "file_sha256": "../victim"}
    listed = answer("200 OK", json.dumps([row]).encode())
    with (
        meddling(server.port, lambda request: listed if "package_files" in request.path else None) as line,
        pytest.raises(Refused, match="is it a modelyard"),
    ):
        Registry(line.url, account.token).pull(filled, tmp_path / "a", options=CACHED)
    assert victim.read_text() == "mine"
