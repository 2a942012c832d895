"""Versions, runs and folders as archives: whole, as long as was said, and for those who may download."""

from __future__ import annotations

import asyncio
import io
import zipfile
import zlib
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any

import httpx2
import pytest

from modelyard.routes.pages import archive
from modelyard.services.files import trees
from tests.conftest import Account
from tests.live import LiveServer
from tests.routes.pages.conftest import SignIn
from tests.routes.pages.test_uploads import ODD
from tests.routes.pages.yard import Yard

FILES = {
    "README.md": b"# Hello\n",
    "weights/a.bin": b"a" * 1_000_000,
    "weights/fp16/b.bin": b"b" * 200_000,
    "weights fp16/c": b"",
    f"ключ/{ODD}": b"odd",
}


@pytest.fixture
def owner(yard: Yard) -> Account:
    return yard.owner


@pytest.fixture
def filled(yard: Yard) -> tuple[int, str, str]:
    """A project's id, the path of a version's page, and that of its files in the API."""
    model, version = yard.model("churn"), yard.version("churn")
    for name, content in FILES.items():
        yard.put(version, name, content)
    return yard.id, yard.shown(model, version), f"/projects/{yard.id}/packages/ml_models/{version}/files"


def contents(answer: httpx2.Response) -> dict[str, bytes]:
    assert answer.status_code == 200, answer.text
    assert int(answer.headers["content-length"]) == len(answer.content)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as found:
        assert found.testzip() is None
        return {each.filename: found.read(each) for each in found.infolist()}


def test_all_files_or_those_of_a_folder_come_as_one(
    sign_in: SignIn, owner: Account, filled: tuple[int, str, str]
) -> None:
    _project, page, files = filled
    browser = sign_in(owner.token)
    owner.client.put(f"{files}/README.md", content=b"newer")
    answer = browser.get(f"{page}/archive.zip")
    assert contents(answer) == FILES | {"README.md": b"newer"}
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"].startswith('attachment; filename="churn ')
    folder = browser.get(f"{page}/archive.zip", params={"folder": "/weights/"})
    assert contents(folder) == {"a.bin": FILES["weights/a.bin"], "fp16/b.bin": FILES["weights/fp16/b.bin"]}
    assert 'filename="weights.zip"' in folder.headers["content-disposition"]
    odd = browser.get(f"{page}/archive.zip", params={"folder": "ключ"})
    assert contents(odd) == {ODD: b"odd"}
    head = browser.head(f"{page}/archive.zip")
    assert (head.headers["content-length"], head.content) == (answer.headers["content-length"], b"")
    listed = browser.get(f"{page}/tree/weights").text
    assert f'href="{page}/archive.zip?folder=weights"' in listed
    assert f'href="{page}/archive.zip"' in browser.get(f"{page}/tree").text


def test_an_archive_is_a_download_with_its_rights_and_its_count(
    sign_in: SignIn,
    visitor: httpx2.Client,
    server: LiveServer,
    owner: Account,
    make_user: Callable[..., Account],
    filled: tuple[int, str, str],
) -> None:
    project, page, _files = filled
    packages = f"/projects/{project}/packages"

    def downloaded() -> object:
        asyncio.run(server.app.state.usage.write(0))
        return owner.client.get(packages).json()[0]["last_downloaded_at"]

    assert downloaded() is None
    stranger = sign_in(make_user().token)
    assert stranger.get(f"{page}/archive.zip").status_code == 404
    assert visitor.get(f"{page}/archive.zip").status_code in (303, 404)
    assert downloaded() is None
    owner.client.put(f"/projects/{project}", json={"visibility": "public"})
    assert len(contents(visitor.get(f"{page}/archive.zip"))) == len(FILES)
    assert downloaded() is not None


def test_what_cannot_be_had_is_told_by_a_page_before_the_archive_begins(
    sign_in: SignIn,
    server: LiveServer,
    owner: Account,
    filled: tuple[int, str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _project, page, files = filled
    browser = sign_in(owner.token)
    for path, status in (("nothing", 404), ("README.md", 404), ("weights/a", 404), ("a//b", 400), ("%", 404)):
        answer = browser.get(f"{page}/archive.zip", params={"folder": path})
        assert (answer.status_code, answer.headers["x-request-id"] in answer.text) == (status, True), path
    monkeypatch.setattr(trees, "MAX_FILES", 3)
    refused = browser.get(f"{page}/archive.zip")
    assert (refused.status_code, "more than 3 files" in refused.text) == (400, True)
    monkeypatch.undo()
    blobs = server.settings.blob_root
    owner.client.put(f"{files}/lost.bin", content=b"lost" * 100_000)
    newest = max((path for path in Path(blobs).rglob("*") if path.is_file()), key=lambda path: path.stat().st_mtime_ns)
    content = newest.read_bytes()
    newest.unlink()
    with pytest.raises(httpx2.TransportError):  # never an archive that looks whole
        browser.get(f"{page}/archive.zip")
    newest.write_bytes(content)
    assert contents(browser.get(f"{page}/archive.zip"))["lost.bin"] == content


def test_what_is_small_is_gathered_and_what_is_large_goes_at_once() -> None:
    most, sent = archive.GATHERED_BYTES, list[bytes]()

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message["body"])

    async def put(*sizes: int) -> list[int]:
        sent.clear()
        out = archive._Outgoing(send)
        for size in sizes:
            await out.put(bytes(size))
        await out.end()
        return list(map(len, sent))

    assert asyncio.run(put(1, 2, 3)) == [6]
    assert asyncio.run(put(most - 1, 1, 5)) == [most, 5]
    assert asyncio.run(put(7, most, 5)) == [7, most, 5]


@pytest.mark.parametrize("size", [1, archive.GATHERED_BYTES, archive.GATHERED_BYTES + 1])
def test_checksums_of_blocks_follow_each_other(size: int) -> None:
    block, before = b"b" * size, zlib.crc32(b"before")
    assert asyncio.run(archive._crc32(block, before)) == zlib.crc32(b"before" + block)
