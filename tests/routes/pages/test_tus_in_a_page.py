"""tus-js-client, unmodified, in a page of this origin: it goes on after a reload, by its own memory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.e2e.test_resumable_uploads import tus_modules
from tests.live import LiveServer
from tests.routes.pages.conftest import Open
from tests.routes.pages.yard import Yard
from tests.tus import uploads_of

MIB = 1024 * 1024
NAME = "dir/w.bin"
SIZE, CHUNK = 6 * MIB + 789, MIB
MADE = "document.body.append(Object.assign(document.createElement('input'), {type: 'file', id: 'chosen'}))"
# Resolves with where it began, once all is there or so many bytes were accepted.
SENT = """([endpoint, headers, path, chunkSize, stopAt]) => new Promise((resolve, reject) => {
  const found = {began: null}
  const upload = new tus.Upload(document.getElementById('chosen').files[0], {
    endpoint, headers, chunkSize, metadata: {path}, retryDelays: [0, 500, 500], onError: reject,
    onChunkComplete: (size, accepted) => {
      found.began ??= accepted - size
      if (stopAt && accepted >= stopAt) upload.abort().then(() => resolve(found))
    },
    onSuccess: () => resolve(found),
  })
  upload.findPreviousUploads().then((previous) => {
    if (previous.length) upload.resumeFromPreviousUpload(previous[0])
    upload.start()
  })
})"""


def with_tus(page: Page, path: Path) -> None:
    """A page of this server, with a file chosen in it; a script of others is let in by the debugger alone."""
    page.goto("/")
    page.evaluate((tus_modules() / "node_modules/tus-js-client/dist/tus.min.js").read_text(encoding="utf-8"))
    page.evaluate(MADE)
    page.locator("#chosen").set_input_files(path)


@pytest.mark.parametrize("identity", ["session", "token"])
def test_tus_js_client_in_a_page_goes_on_after_a_reload(
    browse: Open, server: LiveServer, yard: Yard, tmp_path: Path, identity: str
) -> None:
    path = tmp_path / "w.bin"
    path.write_bytes(os.urandom(SIZE))
    yard.model("iris")
    files = f"/projects/{yard.id}/packages/ml_models/{yard.version('iris')}/files"
    place = f"/api/v4{uploads_of(files)}"
    headers = {"Authorization": f"Bearer {yard.owner.token}"} if identity == "token" else {}
    with browse() as watched:
        if identity == "session":
            watched.context.add_cookies([yard.cookie(server)])
        page = watched.page()
        with_tus(page, path)
        assert page.evaluate(SENT, [place, headers, NAME, CHUNK, 2 * CHUNK]) == {"began": 0}
        with_tus(page, path)
        assert page.evaluate(SENT, [place, headers, NAME, CHUNK, None])["began"] >= 2 * CHUNK
    assert yard.api.get(f"{files}/{NAME}").content == path.read_bytes()
