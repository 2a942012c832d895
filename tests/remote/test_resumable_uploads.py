"""Uploads that go on, with their bytes in a bucket: on moto, on Swift, and on s3rver."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import pairwise

import pytest

from tests.e2e.processes import MIB
from tests.live import LiveServer
from tests.remote.conftest import Starter, telling_uploads, version_files
from tests.s3 import BUCKET, S3Server
from tests.tus import VERSION, begun, offset_of, patch

CONTENT = os.urandom(19 * MIB + 7)
CUTS = (0, 5, 3 * MIB, 3 * MIB + 1, 12 * MIB, 18 * MIB, len(CONTENT))


def prefix_of(server: LiveServer) -> str:
    return str(server.settings.blob_url).removeprefix(f"s3://{BUCKET}/")


def test_pieces_of_any_size_make_the_file(plain: LiveServer) -> None:
    with plain.client(plain.root_token) as root:
        files = version_files(root)
        url = begun(root, files, len(CONTENT))
        for start, stop in pairwise(CUTS):
            assert patch(root, url, start, CONTENT[start:stop]).headers["Upload-Offset"] == str(stop)
            assert offset_of(root, url) == stop
        assert root.get(f"{files}/w.bin").content == CONTENT


@telling_uploads
def test_what_is_cancelled_leaves_nothing_in_the_bucket(start: Starter, s3: S3Server) -> None:
    server = start()
    with server.client(server.root_token) as root:
        url = begun(root, version_files(root), len(CONTENT))
        assert patch(root, url, 0, CONTENT[: 10 * MIB]).status_code == 204
        assert s3.uploads(prefix_of(server))
        assert s3.keys(prefix_of(server))
        assert root.delete(url, headers=VERSION).status_code == 204
        assert s3.uploads(prefix_of(server)) == []
        assert s3.keys(prefix_of(server)) == []


def test_an_older_writer_records_nothing_more(plain: LiveServer) -> None:
    with plain.client(plain.root_token) as root:
        files = version_files(root)
        url = begun(root, files, len(CONTENT))

        def pieces() -> Iterator[bytes]:
            yield CONTENT[: 2 * MIB]
            offset = offset_of(root, url)
            assert patch(root, url, offset, CONTENT[offset : 9 * MIB]).status_code == 204
            yield CONTENT[2 * MIB :]

        with plain.client(plain.root_token) as older:
            answer = patch(older, url, 0, pieces())
            assert answer.status_code == 409
        assert offset_of(root, url) == 9 * MIB
        assert patch(root, url, 9 * MIB, CONTENT[9 * MIB :]).status_code == 204
        assert root.get(f"{files}/w.bin").content == CONTENT


@pytest.mark.parametrize("size", [0, 1])
def test_small_files_are_there_at_once(plain: LiveServer, size: int) -> None:
    with plain.client(plain.root_token) as root:
        files = version_files(root)
        url = begun(root, files, size)
        if size:
            assert patch(root, url, 0, b"x" * size).status_code == 204
        assert offset_of(root, url) == size
        assert root.get(f"{files}/w.bin").content == b"x" * size
