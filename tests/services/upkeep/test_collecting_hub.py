"""What `gc` does with rights to send that have ended, and with what was sent and never committed."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest
from sqlalchemy import func, select

from modelyard.clock import DAY, now
from modelyard.registry.repository import Registry
from modelyard.registry.tables import UploadedObject, UploadPiece, UploadTicket
from modelyard.services.upkeep import collecting
from modelyard.services.upkeep.collecting import Garbage, collect
from tests.live import LiveServer, running
from tests.routes.hub.sending import Cas, chunk, commit, file, files, send_object, sha256

REPO = "root/m"
WAITING = (UploadTicket, UploadedObject, UploadPiece)


def counts(live: LiveServer) -> list[int]:
    def work(registry: Registry) -> list[int]:
        return [registry.session.scalar(select(func.count(table.id))) or 0 for table in WAITING]

    counted: list[int] = live.app.state.database.read_now(work)
    return counted


def collected(live: LiveServer, *, dry_run: bool = False) -> list[Garbage]:
    return list(collect(live.app.state.database, live.app.state.store, grace=-1, dry_run=dry_run))


def test_gc_forgets_what_has_waited_for_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    headers = {}
    with running(tmp_path) as live:
        headers["Authorization"] = f"Bearer {live.root_token}"
        with (
            httpx2.Client(base_url=live.url, headers=headers) as hub,
            httpx2.Client(base_url=live.url) as stranger,
        ):
            hub.post("/api/repos/create", json={"name": "m"})
            commit(hub, REPO, file("kept", b"kept"))
            send_object(hub, stranger, REPO, b"object")
            assert Cas(hub, stranger, REPO).xorb(b"\1" * 32, chunk(b"xorb")).status_code == 200
            assert counts(live) == [2, 1, 1]
            later = now() + 2 * DAY
            with monkeypatch.context() as patched:
                patched.setattr(collecting, "now", lambda: later)
                would = collected(live, dry_run=True)
                assert counts(live) == [2, 1, 1]
                assert collected(live) == would
            assert {each.name for each in would if each.kind == "blob"} == {sha256(b"object"), sha256(chunk(b"xorb"))}
            assert counts(live) == [0, 0, 0]
            assert files(hub, REPO) == {"kept": sha256(b"kept")}


def test_gc_leaves_rights_to_send_that_go_on(tmp_path: Path) -> None:
    with (
        running(tmp_path) as live,
        httpx2.Client(base_url=live.url, headers={"Authorization": f"Bearer {live.root_token}"}) as hub,
        httpx2.Client(base_url=live.url) as stranger,
    ):
        hub.post("/api/repos/create", json={"name": "m"})
        send_object(hub, stranger, REPO, b"object")
        before = counts(live)
        list(collect(live.app.state.database, live.app.state.store, grace=3600, dry_run=False))
        assert counts(live) == before == [1, 1, 0]
