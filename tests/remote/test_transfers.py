"""Uploads and downloads of a server whose blobs lie in a bucket."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from modelyard.blobs.s3.store import S3BlobStore
from modelyard.services.upkeep.checking import check
from modelyard.services.upkeep.collecting import collect
from tests.live import LiveServer
from tests.s3 import S3Server, noted_requests

from .conftest import telling_uploads, version_files

MIB = 1024 * 1024
LARGE = os.urandom(9 * MIB + 7)
DISPOSITION = "attachment; filename=\"m_del-f725d08c.bin\"; filename*=UTF-8''m%C3%B6del.bin"


@pytest.fixture
def root(plain: LiveServer) -> Iterator[httpx2.Client]:
    with plain.client(plain.root_token) as client:
        yield client


@pytest.fixture
def redirected(redirecting: LiveServer) -> Iterator[httpx2.Client]:
    with redirecting.client(redirecting.root_token) as client:
        yield client


@pytest.mark.parametrize("content", [b"", b"weights", LARGE], ids=["empty", "small", "large"])
def test_a_file_comes_back_whole_and_in_ranges(root: httpx2.Client, content: bytes) -> None:
    url = f"{version_files(root)}/dir/weights.bin"
    assert root.put(url, content=content).status_code == 201
    assert root.get(url).content == content
    assert int(root.head(url).headers["content-length"]) == len(content)
    if content:
        some = root.get(url, headers={"Range": "bytes=-5"})
        assert (some.status_code, some.content) == (206, content[-5:])
        several = root.get(url, headers={"Range": "bytes=0-1,4-5"})
        assert several.headers["content-type"].startswith("multipart/byteranges")
        assert content[4:6] in several.content


@telling_uploads
def test_a_digest_that_does_not_match_leaves_nothing_in_the_bucket(
    plain: LiveServer, root: httpx2.Client, s3: S3Server
) -> None:
    prefix = str(plain.settings.blob_url).rpartition("/")[2]
    url, before = f"{version_files(root)}/f", s3.keys(prefix)
    wrong = {"Repr-Digest": "sha-256=:" + "A" * 43 + "=:"}
    assert root.put(url, content=LARGE, headers=wrong).status_code == 400
    assert s3.keys(prefix) == before
    assert s3.uploads(prefix) == []


def test_a_file_whose_bytes_are_gone_is_404(plain: LiveServer, root: httpx2.Client) -> None:
    url, content = f"{version_files(root)}/f", os.urandom(200_000)
    root.put(url, content=content)
    plain.app.state.store.delete(hashlib.sha256(content).hexdigest())
    assert root.get(url).status_code == 404


def test_readiness_sees_the_bucket(plain: LiveServer) -> None:
    assert httpx2.get(f"{plain.url}/-/readiness").json()["blob_store_check"] == [{"status": "ok"}]


def test_garbage_in_the_bucket_is_collected_and_files_are_not(plain: LiveServer, root: httpx2.Client) -> None:
    store, database = plain.app.state.store, plain.app.state.database
    assert isinstance(store, S3BlobStore)
    url = f"{version_files(root)}/f"
    root.put(url, content=LARGE)
    with store.begin() as writer:
        writer.write([b"nobody's"])
        writer.publish()
    collected = {garbage.name for garbage in collect(database, store, grace=-10, dry_run=False)}
    assert writer.digest() in collected
    assert store.stat(hashlib.sha256(LARGE).hexdigest()) is not None
    assert root.get(url).content == LARGE
    found = {finding.sha256 for finding in check(database, store, read=True)}
    assert hashlib.sha256(LARGE).hexdigest() not in found


@pytest.mark.parametrize("content", [b"", b"weights", LARGE], ids=["empty", "small", "large"])
def test_a_download_is_sent_to_the_bucket_and_keeps_its_name(redirected: httpx2.Client, content: bytes) -> None:
    url = f"{version_files(redirected)}/dir/m%C3%B6del.bin"
    assert redirected.put(url, content=content).status_code == 201
    answer = redirected.get(url)
    assert (answer.status_code, answer.content, answer.headers["cache-control"]) == (302, b"", "no-store")
    assert parse_qs(urlsplit(answer.headers["location"]).query)["X-Amz-Expires"] == ["77"]
    got = httpx2.get(answer.headers["location"])
    assert (got.status_code, got.content) == (200, content)
    assert got.headers["content-disposition"] == DISPOSITION
    assert got.headers["content-type"] == "application/octet-stream"


def test_a_range_means_the_same_in_the_bucket(redirected: httpx2.Client) -> None:
    url = f"{version_files(redirected)}/f"
    redirected.put(url, content=LARGE)
    got = redirected.get(url, headers={"Range": "bytes=1000-1999"}, follow_redirects=True)
    assert len(got.history) == 1
    assert (got.status_code, got.content) == (206, LARGE[1000:2000])


def test_head_and_conditions_are_answered_here(redirected: httpx2.Client) -> None:
    url = f"{version_files(redirected)}/f"
    etag = redirected.put(url, content=LARGE).headers["etag"]
    head = redirected.head(url)
    assert (head.status_code, head.headers["etag"], head.headers["content-length"]) == (200, etag, str(len(LARGE)))
    modified = head.headers["last-modified"]
    for headers, status in (
        ({"If-None-Match": etag}, 304),
        ({"If-None-Match": '"other"'}, 200),
        ({"If-Match": '"other"'}, 412),
        ({"If-Match": etag}, 200),
        ({"If-Modified-Since": modified}, 304),
        ({"If-Unmodified-Since": modified}, 200),
        ({"If-Range": etag, "Range": "bytes=0-9"}, 206),
    ):
        assert redirected.get(url, headers=headers).status_code == status, headers


def test_who_may_not_read_gets_no_url(redirecting: LiveServer, redirected: httpx2.Client) -> None:
    url = f"{version_files(redirected)}/f"
    redirected.put(url, content=b"weights")
    with redirecting.client() as stranger:
        assert stranger.get(url).status_code == 404
    assert redirected.get(f"{url}-of-another-name").status_code == 404


def test_a_file_whose_bytes_are_gone_has_no_url(redirecting: LiveServer, redirected: httpx2.Client) -> None:
    url = f"{version_files(redirected)}/f"
    redirected.put(url, content=b"soon gone")
    redirecting.app.state.store.delete(hashlib.sha256(b"soon gone").hexdigest())
    assert redirected.get(url).status_code == 404


def test_no_url_is_logged(redirected: httpx2.Client, capfd: pytest.CaptureFixture[str]) -> None:
    url = f"{version_files(redirected)}/f"
    redirected.put(url, content=b"weights")
    assert redirected.get(url).status_code == 302
    logged = "".join(capfd.readouterr())
    assert f"/api/v4{url}" in logged
    assert "X-Amz" not in logged


def test_a_small_file_takes_one_request_to_the_bucket_and_then_none(
    root: httpx2.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"{version_files(root)}/small.bin"
    assert root.put(url, content=b"small").status_code == 201
    asked = noted_requests(monkeypatch)
    for expected in ([("GET", "data")], [], []):
        assert root.get(url).content == b"small"
        assert [each for each in asked if each[1] in {"data", "sha256"}] == expected
        asked.clear()
