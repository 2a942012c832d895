"""Parts of MLflow's uploads that are joined while others are on their way."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from modelyard.blobs.store import BlobReader, BlobStore
from modelyard.services.resuming import joining
from modelyard.services.upkeep.collecting import collect
from modelyard.services.upkeep.expiring import check_uploads
from tests.e2e.processes import MIB, new_version
from tests.live import LiveServer, running
from tests.routes.mlflow.conftest import Mlflow
from tests.routes.mlflow.test_parts import complete, created, mpu, send
from tests.waiting import eventually

PARTS = [os.urandom(MIB), os.urandom(3 * MIB // 2), os.urandom(MIB), os.urandom(77)]
WHOLE = b"".join(PARTS)


@pytest.fixture(autouse=True)
def ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also small ones are joined ahead, and recorded at once."""
    monkeypatch.setattr(joining, "AHEAD_BYTES", 1)


@contextmanager
def serving(folder: Path) -> Iterator[tuple[LiveServer, Mlflow]]:
    with running(folder) as server, server.client(server.root_token) as client:
        yield server, Mlflow(client, 1)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[LiveServer, Mlflow]]:
    with serving(tmp_path) as found:
        new_version(found[1].client)
        yield found


def begun(api: Mlflow) -> Any:
    return created(api, tail="1", count=len(PARTS))


def sent(upload: Any, *numbers: int) -> list[dict[str, object]]:
    return [{"part_number": number, "etag": send(upload, number, PARTS[number - 1])} for number in numbers]


def partial_size(server: LiveServer, upload: Any) -> int:
    path = server.settings.blob_root / "incoming" / f"{upload['upload_id']}.upload"
    return path.stat().st_size if path.exists() else 0


def content_of(api: Mlflow) -> bytes:
    return bytes(api.client.get("/projects/1/packages/ml_models/1/files/model.bin").content)


@contextmanager
def opened(monkeypatch: pytest.MonkeyPatch, store: BlobStore) -> Iterator[set[str]]:
    """The digests of the blobs that are opened in the block."""
    digests: set[str] = set()
    real: Callable[[Any, str], BlobReader] = type(store).open

    def opening(store: BlobStore, digest: str) -> BlobReader:
        digests.add(digest)
        return real(store, digest)

    with monkeypatch.context() as patched:
        patched.setattr(type(store), "open", opening)
        yield digests


def digests_of(parts: list[dict[str, object]]) -> list[str]:
    return [str(part["etag"]).strip('"') for part in parts]


def test_what_has_no_gap_before_it_is_not_read_again_in_the_end(
    server: tuple[LiveServer, Mlflow], monkeypatch: pytest.MonkeyPatch
) -> None:
    live, api = server
    upload = begun(api)
    parts = [*sent(upload, 1, 2), *sent(upload, 4)]
    eventually(lambda: partial_size(live, upload) == len(PARTS[0] + PARTS[1]))
    with opened(monkeypatch, live.app.state.store) as read:
        parts += sent(upload, 3)
        parts.sort(key=lambda part: int(str(part["part_number"])))
        assert complete(api, upload, parts, tail="1").status_code == 200
    assert not read & set(digests_of(parts)[:2])
    assert content_of(api) == WHOLE
    eventually(lambda: not list((live.settings.blob_root / "incoming").iterdir()))
    eventually(lambda: not any(live.app.state.store.stat(digest) for digest in digests_of(parts)))
    assert complete(api, upload, parts, tail="1").status_code == 200


def test_a_part_that_is_replaced_after_it_was_joined_is_the_new_one(server: tuple[LiveServer, Mlflow]) -> None:
    live, api = server
    upload = begun(api)
    assert send(upload, 1, b"another")
    old = sent(upload, 2, 3, 4)
    eventually(lambda: partial_size(live, upload) >= len(PARTS[1] + PARTS[2]))
    assert complete(api, upload, [*sent(upload, 1), *old], tail="1").status_code == 200
    assert content_of(api) == WHOLE
    eventually(lambda: not list((live.settings.blob_root / "incoming").iterdir()))


def test_another_process_goes_on_where_one_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(tmp_path) as (live, api):
        new_version(api.client)
        upload = begun(api)
        parts = sent(upload, 1, 2)
        eventually(lambda: partial_size(live, upload) == len(PARTS[0] + PARTS[1]))
    port = live.port
    with serving(tmp_path) as (live, api):
        assert partial_size(live, upload) == len(PARTS[0] + PARTS[1])
        for told in upload["credentials"]:
            told["url"] = told["url"].replace(f":{port}/", f":{live.port}/")
        with opened(monkeypatch, live.app.state.store) as read:
            parts += sent(upload, 3, 4)
            assert complete(api, upload, parts, tail="1").status_code == 200
        assert not read & set(digests_of(parts)[:1])
        assert content_of(api) == WHOLE


def test_what_was_joined_goes_with_an_upload_that_is_aborted(server: tuple[LiveServer, Mlflow]) -> None:
    live, api = server
    upload = begun(api)
    sent(upload, 1, 2)
    eventually(lambda: partial_size(live, upload) == len(PARTS[0] + PARTS[1]))
    body = {"path": "/srv/ada/model.bin", "upload_id": upload["upload_id"]}
    assert mpu(api, "abort", "1", **body).status_code == 200
    eventually(lambda: not list((live.settings.blob_root / "incoming").iterdir()))


def test_upkeep_knows_what_is_joined_of_an_upload_that_goes_on(
    server: tuple[LiveServer, Mlflow], monkeypatch: pytest.MonkeyPatch
) -> None:
    live, api = server
    monkeypatch.setattr(joining, "IDLE_SECONDS", 0.3)  # so that nobody has the lock on the file
    monkeypatch.setattr(joining, "LOOK_SECONDS", 0.05)
    upload = begun(api)
    parts = sent(upload, 1, 2)
    eventually(lambda: partial_size(live, upload) > 0 and not live.app.state.parts._ahead._ahead)
    state = live.app.state
    assert check_uploads(state.database, state.store) == []
    assert list(collect(state.database, state.store, grace=-1, dry_run=False)) == []
    assert partial_size(live, upload) > 0
    assert complete(api, upload, [*parts, *sent(upload, 3, 4)], tail="1").status_code == 200
    assert content_of(api) == WHOLE


def test_a_part_whose_bytes_are_gone_is_no_harm_to_what_is_joined(server: tuple[LiveServer, Mlflow]) -> None:
    live, api = server
    upload = begun(api)
    parts = sent(upload, 1, 2)
    eventually(lambda: partial_size(live, upload) == len(PARTS[0] + PARTS[1]))
    for digest in digests_of(parts):
        live.app.state.store.delete(digest)
    parts += sent(upload, 3)
    eventually(lambda: partial_size(live, upload) == len(b"".join(PARTS[:3])))
    assert complete(api, upload, [*parts, *sent(upload, 4)], tail="1").status_code == 200
    assert content_of(api) == WHOLE
