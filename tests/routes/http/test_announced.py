"""What an upload's headers say of its bytes is held: by every name that clients have for it, on every way in."""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.live import LiveServer
from tests.programs import curl, run
from tests.raw import exchange, put_head

CONTENT = bytes(range(256)) * 5000  # more than what is received in one piece
MISMATCH = "The content does not match its digest"
COMPRESSED = "415 Unsupported Media Type - Content-Encoding is not supported: send the bytes as they are"


def b64(hash_name: str, content: bytes) -> str:
    return base64.b64encode(hashlib.new(hash_name, content).digest()).decode()


SPELLINGS: dict[str, Callable[[bytes], tuple[str, str]]] = {
    "Repr-Digest": lambda content: ("Repr-Digest", f"sha-512=:{b64('sha512', content)}:"),
    "Repr-Digest by MD5": lambda content: ("Repr-Digest", f"md5=:{b64('md5', content)}:"),
    "Content-Digest by SHA-1": lambda content: ("Content-Digest", f"sha=:{b64('sha1', content)}:"),
    "Digest by SHA-256": lambda content: ("Digest", f"SHA-256={b64('sha256', content)}"),
    "Digest by SHA-512": lambda content: ("digest", f"sha-512={b64('sha512', content)}"),
    "Digest by SHA": lambda content: ("Digest", f"adler32=03da0195,SHA={b64('sha1', content)}"),
    "Digest by MD5": lambda content: ("Digest", f"sha-256={b64('sha256', CONTENT)}, md5={b64('md5', content)}"),
    "Digest by SHA-256 of no coding": lambda content: ("Digest", f"id-SHA-256={b64('sha256', content)}"),
    "Content-MD5": lambda content: ("Content-MD5", b64("md5", content)),
    "X-Checksum-Sha256": lambda content: ("X-Checksum-Sha256", hashlib.sha256(content).hexdigest()),
    "X-Checksum-Sha1": lambda content: ("X-Checksum-Sha1", hashlib.sha1(content).hexdigest().upper()),
    "X-Checksum-Md5": lambda content: ("x-checksum-md5", hashlib.md5(content).hexdigest()),
    "X-Checksum-Sha512": lambda content: ("X-Checksum-Sha512", hashlib.sha512(content).hexdigest()),
    "X-Checksum of SHA-1": lambda content: ("X-Checksum", hashlib.sha1(content).hexdigest()),
}
FACES = ("file API", "MLflow")


@pytest.fixture
def url_of(
    make_project: Callable[..., dict[str, Any]], make_run: Callable[..., dict[str, Any]]
) -> Callable[[str], str]:
    """A file of a fresh run on one of the faces, below the API's base."""

    def url(face: str) -> str:
        project = make_project()["id"]
        owner = f"candidate:{make_run(project)['iid']}"
        if face == "MLflow":
            return f"/projects/{project}/ml/mlflow/api/2.0/mlflow-artifacts/artifacts/{owner}/dir/f"
        return f"/projects/{project}/packages/ml_models/{owner}/files/dir/f"

    return url


@pytest.mark.parametrize("form", [False, True], ids=["raw", "form"])
@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_wrong_digest_is_refused_and_a_right_one_taken(
    root: httpx2.Client, server: LiveServer, url_of: Callable[[str], str], spelling: str, face: str, form: bool
) -> None:
    url, announced = url_of(face), SPELLINGS[spelling]
    body: dict[str, Any] = {"files": {"file": CONTENT}} if form else {"content": CONTENT}
    refused = root.put(url, headers=dict([announced(b"other")]), **body)
    assert (refused.status_code, MISMATCH in refused.text) == (400, True)
    assert root.get(url).status_code == 404
    assert server.incoming() == []
    assert root.put(url, headers=dict([announced(CONTENT)]), **body).status_code < 300
    assert root.get(url).content == CONTENT


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("X-Checksum-Sha256", "abc"),
        ("X-Checksum-Sha1", hashlib.sha256(b"x").hexdigest()),
        ("X-Checksum-Md5", ""),
        ("Content-MD5", hashlib.md5(b"x").hexdigest()),
        ("Content-MD5", ""),
        ("Digest", "sha-256"),
        ("Digest", f"sha-256={hashlib.sha256(b'x').hexdigest()}"),
        ("Digest", f"md5={b64('sha1', b'x')}"),
        ("Digest", f"md5={b64('md5', b'x')},md5={b64('md5', b'y')}"),
    ],
)
@pytest.mark.parametrize("face", FACES)
def test_a_digest_that_cannot_be_read_is_refused(
    root: httpx2.Client, url_of: Callable[[str], str], face: str, header: str, value: str
) -> None:
    url = url_of(face)
    refused = root.put(url, content=b"x", headers={header: value})
    assert (refused.status_code, "digest" in refused.text) == (400, True)
    assert root.get(url).status_code == 404


def test_digests_that_contradict_each_other_are_refused_before_the_body(server: LiveServer, version_url: str) -> None:
    headers = [
        f"{name}: {value}" for name, value in (SPELLINGS["Repr-Digest by MD5"](b"x"), SPELLINGS["Digest by MD5"](b"y"))
    ]
    answer = exchange(server, put_head(server, f"{version_url}/f", "Content-Length: 9", *headers))
    assert answer.status == 400
    assert answer.json()["message"] == "400 Bad request - The md5 digests contradict each other"


def test_algorithms_that_nobody_knows_are_left_out(root: httpx2.Client, version_url: str) -> None:
    headers = {"Digest": "UNIXsum=30637, crc32c=AAAAAA==, id-crc32c=x", "Repr-Digest": "unixsum=:AAAA:"}
    assert root.put(f"{version_url}/f", content=b"x", headers=headers).status_code == 201


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("coding", ["gzip", "GZIP", "br", "x-gzip", "identity, gzip", "gzip, identity", "aws-chunked"])
def test_a_compressed_upload_is_refused_before_its_body(
    root: httpx2.Client, server: LiveServer, url_of: Callable[[str], str], coding: str, face: str
) -> None:
    url = url_of(face)
    headers = (f"Content-Encoding: {coding}", "Content-Length: 5", "Expect: 100-continue")
    answer = exchange(server, put_head(server, url, *headers))
    assert (answer.status, answer.json()["message"]) == (415, COMPRESSED)
    assert answer.headers["accept-encoding"] == "identity"
    assert root.get(url).status_code == 404


@pytest.mark.parametrize("coding", ["identity", "Identity, identity", ""])
def test_an_upload_that_says_to_be_as_it_is_is_taken(root: httpx2.Client, version_url: str, coding: str) -> None:
    assert root.put(f"{version_url}/f", content=b"x", headers={"Content-Encoding": coding}).status_code == 201


def test_two_headers_of_codings_are_both_looked_at(server: LiveServer, version_url: str) -> None:
    headers = ("Content-Encoding: identity", "Content-Encoding: gzip", "Content-Length: 1")
    assert exchange(server, put_head(server, f"{version_url}/f", *headers), b"x").status == 415


def test_authorize_refuses_what_the_upload_would(root: httpx2.Client, version_url: str) -> None:
    for body in (None, {"size": 1}):
        refused = root.put(f"{version_url}/f/authorize", headers={"Content-Encoding": "gzip"}, json=body)
        assert (refused.status_code, refused.json()) == (415, {"message": COMPRESSED})


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_compressed_parameters_are_refused_as_such(root: httpx2.Client, content_type: str) -> None:
    headers = {"Content-Type": content_type, "Content-Encoding": "gzip"}
    refused = root.post("/projects", content=gzip.compress(b'{"name": "p"}'), headers=headers)
    assert (refused.status_code, refused.json()) == (415, {"message": COMPRESSED})


def test_compressed_parameters_of_mlflow_are_refused_in_its_words(
    root: httpx2.Client, make_project: Callable[..., dict[str, Any]]
) -> None:
    url = f"/projects/{make_project()['id']}/ml/mlflow/api/2.0/mlflow/experiments/create"
    refused = root.post(url, content=gzip.compress(b'{"name": "e"}'), headers={"Content-Encoding": "gzip"})
    assert (refused.status_code, refused.json()["error_code"]) == (415, "INVALID_PARAMETER_VALUE")


def test_what_curl_uploads_compressed_does_not_come_back_as_something_else(
    root: httpx2.Client, server: LiveServer, version_url: str, tmp_path: Path
) -> None:
    (tmp_path / "x.gz").write_bytes(gzip.compress(b"text"))
    token = ("--header", f"Authorization: Bearer {server.root_token}")
    for coding, status in (("--header", "Content-Encoding: gzip"), 415), ((), 201):
        assert curl(tmp_path, *token, *coding, "--upload-file", "x.gz", f"{server.api}{version_url}/x.gz")[0] == status
    got = root.get(f"{version_url}/x.gz", headers={"Accept-Encoding": "gzip"})
    assert got.content == (tmp_path / "x.gz").read_bytes()
    assert "content-encoding" not in got.headers


@pytest.mark.parametrize("size", [10, len(CONTENT)], ids=["small", "large"])
@pytest.mark.parametrize("face", FACES)
def test_the_older_question_for_a_digest_is_answered(
    root: httpx2.Client, url_of: Callable[[str], str], face: str, size: int
) -> None:
    url, content = url_of(face), CONTENT[:size]
    expected = f"sha-256={b64('sha256', content)}"
    wanted = {"Want-Digest": "SHA-512;q=1, SHA-256;q=1, SHA;q=0.1"}
    stored = root.put(url, content=content, headers=wanted)
    assert stored.headers["digest"] == expected
    tag = stored.headers["etag"]
    for answer, status in (
        (root.get(url, headers=wanted), 200),
        (root.head(url, headers=wanted), 200),
        (root.get(url, headers=wanted | {"Range": "bytes=1-2"}), 206),
        (root.get(url, headers=wanted | {"Range": "bytes=1-2,5-6"}), 206),
        (root.get(url, headers=wanted | {"If-None-Match": tag}), 304),
    ):
        assert (answer.status_code, answer.headers["digest"]) == (status, expected)
    for other in ({}, {"Want-Digest": "md5, sha"}, {"Want-Digest": "sha-256;q=0"}):
        assert "digest" not in root.get(url, headers=other).headers


def test_aria2_holds_a_download_in_pieces_against_the_digest_that_it_asks_for(
    server: LiveServer, root: httpx2.Client, version_url: str, tmp_path: Path
) -> None:
    content = CONTENT * 3
    root.put(f"{version_url}/f", content=content)
    token = f"--header=Authorization: Bearer {server.root_token}"
    split = ("--split=3", "--max-connection-per-server=3", "--min-split-size=1M", "--no-conf", "--quiet", "--out=got")
    logged = ("--log=aria2.log", "--log-level=info")
    assert run(tmp_path, "aria2c", token, *split, *logged, f"{server.api}{version_url}/f").returncode == 0
    assert (tmp_path / "got").read_bytes() == content
    # Of the whole file, by what the first answer told; of how many others told it depends on how fast they were.
    assert b"Verification finished successfully" in (tmp_path / "aria2.log").read_bytes()
