"""Uploads from the client straight to the bucket, and what the server believes of them."""

from __future__ import annotations

import base64
import hashlib
import itertools
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from modelyard.access.promises import Promises
from modelyard.blobs.s3 import direct
from modelyard.blobs.s3.bucket import Bucket
from modelyard.services.files.offers import OpenOffers
from tests.live import LiveServer, running
from tests.s3 import S3Server

from .conftest import Starter, telling_uploads, version_files

MIB = 1024 * 1024
OFFER = "X-Modelyard-Upload"
PASSING = "400 Bad request - Uploads pass through this server"
UNKNOWN = "400 Bad request - The upload is not known for this file, or has expired: authorize it again"


@pytest.fixture
def root(plain: LiveServer) -> Iterator[httpx2.Client]:
    with plain.client(plain.root_token) as client:
        yield client


@pytest.fixture
def file_url(root: httpx2.Client) -> str:
    return f"{version_files(root)}/dir/weights.bin"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def authorize(client: httpx2.Client, url: str, **claim: object) -> dict[str, Any]:
    answer = client.put(f"{url}/authorize", json=claim)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return dict(answer.json()["RemoteObject"])


def send(remote: dict[str, Any], content: bytes) -> None:
    """Upload all parts and complete, without any credential, as S3 has it."""
    upload, etags = remote["MultipartUpload"], []
    size = upload["PartSize"]
    with httpx2.Client(timeout=60) as s3:
        for number, url in enumerate(upload["PartURLs"], 1):
            answer = s3.put(url, content=content[(number - 1) * size : number * size])
            assert answer.status_code == 200, answer.text
            etags.append(answer.headers["etag"])
        answer = s3.post(upload["CompleteURL"], content=completion(etags))
        assert answer.status_code == 200, answer.text


def take_over(client: httpx2.Client, url: str, remote: dict[str, Any], **headers: str) -> httpx2.Response:
    return client.put(url, headers={OFFER: remote["ID"]} | headers, timeout=120)


@pytest.mark.parametrize(
    ("s3", "megabytes", "parts", "claims_digest"),
    [
        ("swift", 100, 7, True),
        *itertools.product(("moto", "s3rver"), (32,), (3,), (True,)),
        *itertools.product(("moto", "swift", "s3rver"), (16,), (2,), (False,)),
    ],
    indirect=["s3"],
)
def test_a_hundred_megabytes_reach_the_bucket_without_passing_through(
    root: httpx2.Client, file_url: str, megabytes: int, parts: int, claims_digest: bool
) -> None:
    """And fewer on other servers than a real one, and where the digest is not told before."""
    content = os.urandom(megabytes * MIB + 13)
    claim = {"sha256": sha256(content).upper()} if claims_digest else {}
    remote = authorize(root, file_url, size=len(content), **claim)
    assert len(remote["MultipartUpload"]["PartURLs"]) == parts
    assert remote["Timeout"] == 14_400
    send(remote, content)
    assert root.head(file_url).status_code == 404
    stored = take_over(root, file_url, remote)
    assert (stored.status_code, stored.json()) == (201, {"message": "201 Created"})
    assert stored.headers["etag"] == f'"{sha256(content)}"'
    assert root.get(file_url).content == content
    assert take_over(root, file_url, remote).status_code == 201, "an answer may be lost, and asked for again"


def test_one_byte_may_go_to_the_bucket_as_well(root: httpx2.Client, file_url: str) -> None:
    remote = authorize(root, file_url, size=1)
    send(remote, b"x")
    assert httpx2.get(remote["GetURL"]).content == b"x"
    assert take_over(root, file_url, remote).status_code == 201
    assert root.get(file_url).content == b"x"


@pytest.mark.parametrize("claim", [{}, {"size": 0}, {"sha256": "0" * 64}])
def test_without_a_size_there_is_nothing_to_offer(root: httpx2.Client, file_url: str, claim: dict[str, Any]) -> None:
    answer = root.put(f"{file_url}/authorize", json=claim)
    assert answer.status_code == 200
    assert "RemoteObject" not in answer.json()


@telling_uploads
def test_who_may_not_write_is_offered_nothing(plain: LiveServer, file_url: str, s3: S3Server) -> None:
    prefix = str(plain.settings.blob_url).rpartition("/")[2]
    before = s3.uploads(prefix)
    with plain.client() as stranger:
        assert stranger.put(f"{file_url}/authorize", json={"size": 5}).status_code == 401
    assert s3.uploads(prefix) == before


def test_a_project_s_limit_holds_for_what_does_not_pass_through(root: httpx2.Client, file_url: str) -> None:
    project = "/".join(file_url.split("/")[:3])
    refusal = {"message": "403 Forbidden - The project's storage limit of 5 bytes would be exceeded"}
    remote = authorize(root, file_url, size=6)
    send(remote, b"123456")
    assert root.put(project, json={"storage_limit": 5}).status_code == 200
    answer = root.put(f"{file_url}/authorize", json={"size": 6})
    assert (answer.status_code, answer.json()) == (403, refusal)
    late = take_over(root, file_url, remote)
    assert (late.status_code, late.json()) == (403, refusal)
    five, five_more = (authorize(root, f"{file_url}{i}", size=5) for i in range(2))
    send(five, b"12345")
    send(five_more, b"67890")
    assert take_over(root, f"{file_url}0", five).status_code == 201
    assert take_over(root, f"{file_url}1", five_more).status_code == 403
    assert take_over(root, f"{file_url}0", five).status_code == 201, "the same again adds nothing"


@telling_uploads
def test_a_part_takes_as_many_bytes_as_were_authorized(root: httpx2.Client, file_url: str, s3: S3Server) -> None:
    """The length is in the signature, which moto alone does not look at."""
    remote = authorize(root, file_url, size=17 * MIB)
    lengths = [16 * MIB, MIB]
    for url, length in zip(remote["MultipartUpload"]["PartURLs"], lengths, strict=True):
        assert "content-length" in parse_qs(urlsplit(url).query)["X-Amz-SignedHeaders"][0].split(";")
        if httpx2.head(s3.endpoint).headers.get("x-trans-id") is None:
            continue
        for size in (length - 1, length + 1):
            assert httpx2.put(url, content=bytes(size)).status_code == 403
        assert httpx2.put(url, content=iter([bytes(length)])).status_code in {403, 411}
        assert httpx2.put(url, content=bytes(length)).status_code == 200


@telling_uploads
def test_who_has_many_offers_open_sends_the_rest_through_the_server(
    plain: LiveServer, root: httpx2.Client, file_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bypass = plain.app.state.files.bypass
    monkeypatch.setattr(bypass, "remote", replace(bypass.remote, offers=OpenOffers(2)))
    first, _second = (authorize(root, file_url, size=5) for _ in range(2))
    for _ in range(2):
        answer = root.put(f"{file_url}/authorize", json={"size": 5})
        assert (answer.status_code, "RemoteObject" in answer.json()) == (200, False)
    assert root.put(file_url, content=b"12345").status_code == 201
    send(first, b"12345")
    assert take_over(root, file_url, first).status_code == 201
    authorize(root, file_url, size=5)


@telling_uploads
def test_an_upload_may_be_aborted(plain: LiveServer, root: httpx2.Client, file_url: str, s3: S3Server) -> None:
    prefix = str(plain.settings.blob_url).rpartition("/")[2]
    before = s3.uploads(prefix)
    remote = authorize(root, file_url, size=5)
    assert len(s3.uploads(prefix)) == len(before) + 1
    assert httpx2.delete(remote["MultipartUpload"]["AbortURL"]).status_code == 204
    assert s3.uploads(prefix) == before


def completion(etags: Sequence[str]) -> str:
    parts = (f"<Part><PartNumber>{n}</PartNumber><ETag>{etag}</ETag></Part>" for n, etag in enumerate(etags, 1))
    return f"<CompleteMultipartUpload>{''.join(parts)}</CompleteMultipartUpload>"


@pytest.mark.parametrize("copied", [direct.COPIED_PART_BYTES, 5 * MIB])
def test_once_taken_over_no_url_changes_the_bytes_any_more(
    root: httpx2.Client, file_url: str, copied: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether they are copied as one or in parts; by parts of 64 MiB in tests/blobs/test_s3_direct.py."""
    monkeypatch.setattr(direct, "COPIED_PART_BYTES", copied)
    size = 17 * MIB
    content = os.urandom(size)
    remote = authorize(root, file_url, size=size)
    upload = remote["MultipartUpload"]
    send(remote, content)
    assert take_over(root, file_url, remote).status_code == 201
    # Swift takes new parts of a completed upload, and completes it again.
    etags = [httpx2.put(url, content=os.urandom(5 * MIB)).headers.get("etag", "x") for url in upload["PartURLs"]]
    httpx2.post(upload["CompleteURL"], content=completion(etags))
    httpx2.post(upload["CompleteURL"], content=completion(etags[:1]))
    httpx2.delete(upload["AbortURL"])
    assert root.get(file_url).content == content


@telling_uploads
def test_bytes_that_change_while_they_are_verified_are_refused(
    root: httpx2.Client, file_url: str, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = authorize(root, file_url, size=5, sha256=sha256(b"hello"))
    send(remote, b"hello")
    upload = remote["MultipartUpload"]
    copy = Bucket.copy

    def copy_too_late(bucket: Bucket, source: str, key: str) -> None:
        etag = httpx2.put(upload["PartURLs"][0], content=b"hallo").headers["etag"]
        assert httpx2.post(upload["CompleteURL"], content=completion([etag])).status_code == 200
        copy(bucket, source, key)

    monkeypatch.setattr(Bucket, "copy", copy_too_late)
    # Only Swift's bytes are copied: others forget the upload.
    swift = httpx2.head(s3.endpoint).headers.get("x-trans-id") is not None
    assert take_over(root, file_url, remote).status_code == (400 if swift else 201)


def test_an_upload_that_is_not_complete_is_refused(root: httpx2.Client, file_url: str) -> None:
    remote = authorize(root, file_url, size=5)
    httpx2.put(remote["MultipartUpload"]["PartURLs"][0], content=b"hello")
    answer = take_over(root, file_url, remote)
    assert answer.status_code == 400
    assert answer.json() == {"message": "400 Bad request - The upload is not complete"}


@pytest.mark.parametrize("s3", ["moto", "s3rver"], indirect=True)  # Swift takes no part of another size
@pytest.mark.parametrize("content", [b"hell", b"hello!"])
def test_another_size_than_was_claimed_is_refused(root: httpx2.Client, file_url: str, content: bytes) -> None:
    remote = authorize(root, file_url, size=5)
    send(remote, content)
    answer = take_over(root, file_url, remote)
    assert answer.status_code == 400
    assert answer.json() == {"message": f"400 Bad request - The upload has {len(content)} bytes, not 5"}
    assert root.head(file_url).status_code == 404


def test_other_bytes_than_were_claimed_are_refused(root: httpx2.Client, file_url: str) -> None:
    remote = authorize(root, file_url, size=5, sha256=sha256(b"hello"))
    send(remote, b"hallo")
    answer = take_over(root, file_url, remote)
    assert answer.status_code == 400
    assert answer.json() == {"message": "400 Bad request - The content does not match its digest"}
    assert root.head(file_url).status_code == 404


def test_a_digest_in_the_last_request_is_held_too(root: httpx2.Client, file_url: str) -> None:
    remote = authorize(root, file_url, size=5)
    send(remote, b"hello")

    def repr_digest(algorithm: str, content: bytes) -> str:
        digest = hashlib.new(algorithm.replace("-", ""), content).digest()
        return f"{algorithm}=:{base64.b64encode(digest).decode()}:"

    for header, status in (
        (repr_digest("sha-256", b"hallo"), 400),
        (repr_digest("sha-512", b"hello"), 400),
        (repr_digest("sha-256", b"hello"), 201),
    ):
        assert take_over(root, file_url, remote, **{"Repr-Digest": header}).status_code == status


def test_the_last_request_may_speak_of_the_file_or_of_its_own_empty_body(root: httpx2.Client, file_url: str) -> None:
    remote = authorize(root, file_url, size=5)
    send(remote, b"hello")

    def spellings(content: bytes) -> list[tuple[str, str]]:
        digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
        return [
            ("Digest", f"sha-256={digest}"),
            ("X-Checksum-Sha256", sha256(content)),
            ("Content-Digest", f"sha-256=:{digest}:"),
        ]

    for header, value in spellings(b"hallo"):
        assert take_over(root, file_url, remote, **{header: value}).status_code == 400, header
    md5 = base64.b64encode(hashlib.md5(b"hello").digest()).decode()
    refused = take_over(root, file_url, remote, **{"Content-MD5": md5})
    assert "Only sha-256 is verified" in refused.json()["message"]
    two = {"Repr-Digest": repr_of(b"hello"), "Content-Digest": repr_of(b"hallo")}
    assert "contradict" in take_over(root, file_url, remote, **two).json()["message"]
    assert root.head(file_url).status_code == 404
    for header, value in [
        *spellings(b"hello"),
        ("Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg=="),
        ("Content-Digest", repr_of(b"")),
    ]:
        assert take_over(root, file_url, remote, **{header: value}).status_code == 201, header


def repr_of(content: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"


def test_the_last_request_is_not_compressed(root: httpx2.Client, file_url: str) -> None:
    remote = authorize(root, file_url, size=5)
    send(remote, b"hello")
    assert take_over(root, file_url, remote, **{"Content-Encoding": "gzip"}).status_code == 415
    assert root.head(file_url).status_code == 404


def test_the_last_request_carries_no_bytes(root: httpx2.Client, file_url: str) -> None:
    remote = authorize(root, file_url, size=5)
    send(remote, b"hello")
    answer = root.put(file_url, headers={OFFER: remote["ID"]}, content=b"hello")
    assert answer.status_code == 400
    assert "carries no bytes" in answer.json()["message"]


def test_conditions_hold_for_the_last_request(root: httpx2.Client, file_url: str) -> None:
    remote = authorize(root, file_url, size=5)
    send(remote, b"hello")
    root.put(file_url, content=b"somebody was faster")
    assert take_over(root, file_url, remote, **{"If-None-Match": "*"}).status_code == 412


def test_an_upload_is_for_one_file_and_one_user(plain: LiveServer, root: httpx2.Client, file_url: str) -> None:
    remote = authorize(root, file_url, size=5)
    send(remote, b"hello")
    for elsewhere in (f"{file_url}.other", f"{version_files(root)}/dir/weights.bin"):
        answer = take_over(root, elsewhere, remote)
        assert (answer.status_code, answer.json()) == (400, {"message": UNKNOWN})
    user = root.post("/users", json={"username": "ada", "name": "ada", "email": "ada@example.com"}).json()["id"]
    token = root.post(f"/users/{user}/personal_access_tokens", json={"name": "t", "scopes": ["api"]}).json()["token"]
    project = re.split("/", file_url)[2]
    root.post(f"/projects/{project}/members", json={"user_id": user, "access_level": 30})
    with plain.client(token) as ada:
        answer = take_over(ada, file_url, remote)
        assert (answer.status_code, answer.json()) == (400, {"message": UNKNOWN})
        assert take_over(ada, f"{version_files(ada)}/f", authorize(ada, file_url, size=5)).status_code == 400
    with plain.client() as stranger:
        assert take_over(stranger, file_url, remote).status_code == 401
    assert take_over(root, file_url, remote).status_code == 201


@pytest.mark.parametrize("text", ["", "x", "a.b", "é.b", "e30.e30", "." * 9])
def test_what_is_no_promise_is_refused(root: httpx2.Client, file_url: str, text: str) -> None:
    answer = root.put(file_url, headers={OFFER.encode(): text.encode()})
    assert (answer.status_code, answer.json()) == (400, {"message": UNKNOWN})


def test_a_lower_limit_holds_for_what_was_offered_before(
    root: httpx2.Client, plain: LiveServer, file_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = authorize(root, file_url, size=5)
    send(remote, b"hello")
    monkeypatch.setattr(plain.app.state.files.uploads, "max_file_size", 4)
    answer = take_over(root, file_url, remote)
    assert answer.json() == {"message": "400 Bad request - Artifact file is too large"}


def test_replicas_know_each_others_uploads_by_their_secret(start: Starter) -> None:
    own = start(secret_key="a-secret-of-more-than-twenty-characters")
    with own.client(own.root_token) as client:
        url = f"{version_files(client)}/f"
        remote = authorize(client, url, size=5)
        send(remote, b"hello")
        other = own.app.state.files.bypass
        other.remote = replace(other.remote, promises=Promises(b"a-secret-of-more-than-twenty-characters"))
        assert take_over(client, url, remote).status_code == 201
        other.remote = replace(other.remote, promises=Promises(b"another-secret"))
        assert take_over(client, url, remote).json() == {"message": UNKNOWN}


def test_a_server_without_a_secret_offers_nothing(
    plain: LiveServer, root: httpx2.Client, file_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bypass = plain.app.state.files.bypass
    monkeypatch.setattr(bypass, "remote", replace(bypass.remote, promises=None))
    assert "RemoteObject" not in root.put(f"{file_url}/authorize", json={"size": 5}).json()
    answer = take_over(root, file_url, {"ID": "x"})
    assert (answer.status_code, answer.json()) == (400, {"message": PASSING})


def test_a_local_store_offers_nothing(tmp_path: Path) -> None:
    with running(tmp_path) as local, local.client(local.root_token) as client:
        url = f"{version_files(client)}/f"
        assert "RemoteObject" not in client.put(f"{url}/authorize", json={"size": 5}).json()
        answer = take_over(client, url, {"ID": "x"})
        assert (answer.status_code, answer.json()) == (400, {"message": PASSING})


def test_what_is_too_large_for_one_upload_is_not_offered(start: Starter) -> None:
    unlimited = start(max_file_size=0)
    with unlimited.client(unlimited.root_token) as client:
        url = f"{version_files(client)}/f"
        assert len(authorize(client, url, size=5 * 10**12)["MultipartUpload"]["PartURLs"]) == 1000
        assert "RemoteObject" not in client.put(f"{url}/authorize", json={"size": 6 * 10**12}).json()
