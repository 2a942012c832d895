"""The IETF's draft of resumable uploads, and PUT with Content-Range, over a real socket."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from tests.conftest import Account
from tests.e2e.processes import MIB
from tests.live import LiveServer
from tests.raw import exchange, put_head
from tests.tus import VERSION, begun

CHUNK_TYPE = "application/partial-upload"
INTEROP = "Upload-Draft-Interop-Version"
CONTENT = os.urandom(2 * MIB + 99)
SPOKEN = pytest.mark.parametrize("version", ["6", "8"])


def created(client: httpx2.Client, files: str, length: int | None = None, **headers: str) -> httpx2.Response:
    told = {"Upload-Complete": "?0", INTEROP: "8"} | ({} if length is None else {"Upload-Length": str(length)})
    return client.put(
        f"{files}/w.bin", headers=told | {name.replace("_", "-"): value for name, value in headers.items()}
    )


def appended(
    client: httpx2.Client, url: str, offset: int, content: bytes, complete: str = "?1", **headers: str
) -> httpx2.Response:
    told = {"Upload-Offset": str(offset), "Upload-Complete": complete, "Content-Type": CHUNK_TYPE, INTEROP: "8"}
    return client.patch(url, headers=told | {n.replace("_", "-"): v for n, v in headers.items()}, content=content)


@SPOKEN
@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_an_upload_is_created_carefully_appended_to_and_completed(
    root: httpx2.Client, version_url: str, version: str, method: str
) -> None:
    headers = {INTEROP: version, "Upload-Complete": "?0", "Upload-Length": str(len(CONTENT))}
    answer = root.request(method, f"{version_url}/dir/w.bin", headers=headers)
    assert answer.status_code == 201, answer.text
    assert answer.headers[INTEROP] == version
    assert answer.headers["Upload-Complete"] == "?0"
    assert answer.headers["Upload-Limit"] == f"max-size={64 * MIB}, min-size=0, max-age=604800"
    url = answer.headers["Location"]
    first = appended(root, url, 0, CONTENT[:MIB], "?0", **{INTEROP: version})
    assert first.status_code == 204
    assert (first.headers["Upload-Offset"], first.headers["Upload-Complete"]) == (str(MIB), "?0")
    asked = root.head(url, headers={INTEROP: version})
    assert asked.status_code == 204
    assert asked.headers["Upload-Offset"] == str(MIB)
    assert asked.headers["Upload-Length"] == str(len(CONTENT))
    assert asked.headers["Upload-Complete"] == "?0"
    assert asked.headers["Cache-Control"] == "no-store"
    last = appended(root, url, MIB, CONTENT[MIB:], **{INTEROP: version})
    assert last.status_code == 201
    assert last.json() == {"message": "201 Created"}
    assert last.headers["Upload-Complete"] == "?1"
    assert last.headers["ETag"] == f'"{hashlib.sha256(CONTENT).hexdigest()}"'
    assert root.get(last.headers["Location"]).content == CONTENT
    assert root.head(url, headers={INTEROP: version}).headers["Upload-Complete"] == "?1"
    again = appended(root, url, len(CONTENT), b"")
    assert (again.status_code, again.json()) == (201, {"message": "201 Created"})


def test_the_length_may_be_known_only_at_the_end(root: httpx2.Client, version_url: str) -> None:
    url = created(root, version_url).headers["Location"]
    assert appended(root, url, 0, b"1234", "?0").status_code == 204
    assert "Upload-Length" not in root.head(url, headers={INTEROP: "8"}).headers
    assert appended(root, url, 4, b"").status_code == 201
    assert root.get(f"{version_url}/w.bin").content == b"1234"


def test_another_offset_is_409_and_tells_the_right_one(root: httpx2.Client, version_url: str) -> None:
    url = created(root, version_url, 8).headers["Location"]
    appended(root, url, 0, b"1234", "?0")
    answer = appended(root, url, 2, b"56")
    assert answer.status_code == 409
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Upload-Offset"] == "4"
    body = answer.json()
    assert body["type"] == "https://iana.org/assignments/http-problem-types#mismatching-upload-offset"
    assert (body["expected-offset"], body["provided-offset"]) == (4, 2)
    assert body["message"] == "The upload is at offset 4"


@pytest.mark.parametrize("by", ["Content-Digest", "Content-MD5"])
def test_bytes_that_are_not_those_of_their_digest_are_400_and_discarded(
    root: httpx2.Client, version_url: str, by: str
) -> None:
    def told(content: bytes) -> dict[str, str]:
        if by == "Content-MD5":
            return {by: base64.b64encode(hashlib.md5(content).digest()).decode()}
        return {by: f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"}

    url = created(root, version_url, 8).headers["Location"]
    assert appended(root, url, 0, b"1234", "?0", **told(b"1234")).status_code == 204
    answer = appended(root, url, 4, b"5678", **told(b"1234"))
    assert (answer.status_code, answer.json()["message"]) == (
        400,
        "400 Bad request - The content does not match its digest",
    )
    headers = {"X-Modelyard-Session": url, "Content-Range": "bytes 4-7/8", **told(b"1234")}
    assert root.put(f"{version_url}/w.bin", headers=headers, content=b"5678").status_code == 400
    assert appended(root, url, 4, b"5678", **{by: "=="}).status_code == 400
    assert root.head(url, headers={INTEROP: "8"}).headers["Upload-Offset"] == "4"
    assert root.put(f"{version_url}/w.bin", headers=headers | told(b"5678"), content=b"5678").status_code == 201
    assert created(root, version_url, 8, **told(b"")).status_code == 201
    first = root.put(f"{version_url}/v.bin", headers={"Upload-Complete": "?0", **told(b"1234")}, content=b"5678")
    assert first.status_code == 400


@pytest.mark.parametrize("content", [b"567", iter([b"5", b"67"])])
def test_a_length_that_is_not_that_of_the_bytes_is_400(root: httpx2.Client, version_url: str, content: bytes) -> None:
    url = created(root, version_url, 8).headers["Location"]
    appended(root, url, 0, b"1234", "?0")
    answer = appended(root, url, 4, content)
    assert answer.status_code == 400
    assert answer.json()["type"] == "https://iana.org/assignments/http-problem-types#inconsistent-upload-length"
    told_otherwise = appended(root, url, 4, b"5678", Upload_Length="9")
    assert told_otherwise.status_code == 400
    assert appended(root, url, 4, b"5678").status_code == 201


def test_a_creation_with_all_bytes_is_an_ordinary_upload(root: httpx2.Client, version_url: str) -> None:
    for method in ("PUT", "POST"):
        answer = root.request(
            method, f"{version_url}/{method}", headers={"Upload-Complete": "?1", INTEROP: "8"}, content=b"1234"
        )
        assert (answer.status_code, answer.json()) == (201, {"message": "201 Created"})
        assert root.get(f"{version_url}/{method}").content == b"1234"


def test_a_creation_may_bring_the_first_bytes(root: httpx2.Client, version_url: str) -> None:
    answer = root.put(f"{version_url}/w.bin", headers={"Upload-Complete": "?0", INTEROP: "8"}, content=b"1234")
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (201, "4")
    assert appended(root, answer.headers["Location"], 4, b"5678").status_code == 201
    assert root.get(f"{version_url}/w.bin").content == b"12345678"
    too_many = root.put(f"{version_url}/x", headers={"Upload-Complete": "?0", "Upload-Length": "3"}, content=b"1234")
    assert too_many.status_code == 413


def test_no_104_is_sent_to_anybody(server: LiveServer, version_url: str) -> None:
    for version in ((), (f"{INTEROP}: 8",), (f"{INTEROP}: 3",)):
        head = put_head(server, f"{version_url}/w.bin", "Upload-Complete: ?1", "Content-Length: 4", *version)
        assert exchange(server, head, b"1234").status == 201
    careful = put_head(server, f"{version_url}/w.bin", "Upload-Complete: ?0", "Content-Length: 0", f"{INTEROP}: 8")
    assert exchange(server, careful).status == 201


@pytest.mark.parametrize(
    "headers",
    [
        {"Upload-Complete": "1"},
        {"Upload-Complete": "?0", INTEROP: "3"},
        {"Upload-Complete": "?0", "Upload-Length": "x"},
        {"Upload-Complete": "?0", "Repr-Digest": "sha-512=:bm9uZQ==:"},
        {"Upload-Complete": "?0", "Content-Type": "multipart/form-data; boundary=x"},
    ],
)
def test_a_creation_that_cannot_be_is_400(root: httpx2.Client, version_url: str, headers: dict[str, str]) -> None:
    answer = root.put(f"{version_url}/w.bin", headers=headers)
    assert answer.status_code == 400, answer.text


def test_pieces_that_are_not_the_draft_s_are_refused(root: httpx2.Client, version_url: str) -> None:
    url = created(root, version_url, 8).headers["Location"]
    assert appended(root, url, 0, b"1", Content_Type="application/octet-stream").status_code == 415
    assert (
        root.patch(url, headers={"Upload-Complete": "?1", "Content-Type": CHUNK_TYPE}, content=b"1").status_code == 400
    )
    assert appended(root, url, 0, b"1", "yes").status_code == 400
    assert appended(root, url, 0, b"1", **{INTEROP: "3"}).status_code == 400
    assert root.head(url, headers={INTEROP: "3"}).status_code == 400
    assert root.head(url, headers={INTEROP: "8"}).headers["Upload-Offset"] == "0"


def test_an_upload_is_cancelled(root: httpx2.Client, version_url: str) -> None:
    url = created(root, version_url, 8).headers["Location"]
    assert root.delete(url, headers={INTEROP: "8"}).status_code == 204
    assert root.head(url, headers={INTEROP: "8"}).status_code == 404


def test_what_must_hold_is_asked_at_the_beginning_and_at_the_end(root: httpx2.Client, version_url: str) -> None:
    digest = f"sha-256=:{base64.b64encode(hashlib.sha256(b'other').digest()).decode()}:"
    url = created(root, version_url, 4, Repr_Digest=digest).headers["Location"]
    assert appended(root, url, 0, b"1234").status_code == 400
    assert root.head(url, headers={INTEROP: "8"}).status_code == 410
    root.put(f"{version_url}/w.bin", content=b"there")
    assert created(root, version_url, 4, If_None_Match="*").status_code == 412
    assert created(root, version_url, 65 * MIB).status_code == 400  # as an ordinary upload to this URL


def test_post_to_a_file_without_the_draft_is_405(
    root: httpx2.Client, anonymous: httpx2.Client, version_url: str
) -> None:
    assert root.post(f"{version_url}/w.bin", content=b"1234").status_code == 405
    assert anonymous.post(f"{version_url}/w.bin", content=b"1234").status_code == 401


def test_a_put_with_a_content_range_goes_on_with_an_upload(root: httpx2.Client, version_url: str) -> None:
    url = begun(root, version_url, len(CONTENT))
    for named in (url, url.rpartition("/")[2]):
        offset = int(root.head(url, headers=VERSION).headers["Upload-Offset"])
        end = MIB if offset == 0 else len(CONTENT)
        answer = root.put(
            f"{version_url}/w.bin",
            headers={"X-Modelyard-Session": named, "Content-Range": f"bytes {offset}-{end - 1}/{len(CONTENT)}"},
            content=CONTENT[offset:end],
        )
        assert answer.status_code == (202 if end == MIB else 201), answer.text
    assert answer.headers["ETag"] == f'"{hashlib.sha256(CONTENT).hexdigest()}"'
    assert root.get(f"{version_url}/w.bin").content == CONTENT


def test_curl_goes_on_where_an_upload_is(
    server: LiveServer, root: httpx2.Client, version_url: str, tmp_path: Path
) -> None:
    (tmp_path / "w.bin").write_bytes(CONTENT)
    url = created(root, version_url, len(CONTENT)).headers["Location"]
    appended(root, url, 0, CONTENT[:400], "?0")
    command = [
        "curl",
        "--fail",
        "--silent",
        "--show-error",
        "--continue-at",
        "400",
        "--upload-file",
        str(tmp_path / "w.bin"),
    ]
    headers = ["-H", f"PRIVATE-TOKEN: {server.root_token}", "-H", f"X-Modelyard-Session: {url}"]
    subprocess.run([*command, *headers, f"{server.api}{version_url}/w.bin"], check=True, timeout=60)
    assert root.get(f"{version_url}/w.bin").content == CONTENT


@pytest.mark.parametrize(
    "sent",
    [
        "bytes 0-3/8",
        "bytes 4-3/8",
        "bytes 4-8/8",
        "bytes */8",
        "items 4-7/8",
        "bytes 4-5/8",
        "bytes 4-7/9",
        "",
    ],
)
def test_a_content_range_that_does_not_go_on_is_refused(root: httpx2.Client, version_url: str, sent: str) -> None:
    url = created(root, version_url, 8).headers["Location"]
    appended(root, url, 0, b"1234", "?0")
    headers = {"X-Modelyard-Session": url} | ({"Content-Range": sent} if sent else {})
    answer = root.put(f"{version_url}/w.bin", headers=headers, content=b"5678")
    assert answer.status_code == (409 if sent == "bytes 0-3/8" else 400), answer.text
    assert root.head(url, headers={INTEROP: "8"}).headers["Upload-Offset"] == "4"


def test_a_content_range_without_an_upload_stays_400(root: httpx2.Client, version_url: str) -> None:
    answer = root.put(f"{version_url}/w.bin", headers={"Content-Range": "bytes 4-7/8"}, content=b"5678")
    assert answer.status_code == 400


def test_an_upload_goes_on_only_at_its_own_file_and_for_its_owner(
    root: httpx2.Client,
    version_url: str,
    make_user: Callable[..., Account],
) -> None:
    url = created(root, version_url, 4).headers["Location"]
    headers = {"X-Modelyard-Session": url, "Content-Range": "bytes 0-3/4"}
    assert root.put(f"{version_url}/other.bin", headers=headers, content=b"1234").status_code == 404
    assert make_user().client.put(f"{version_url}/w.bin", headers=headers, content=b"1234").status_code == 404
    none = headers | {"X-Modelyard-Session": "0" * 32}
    assert root.put(f"{version_url}/w.bin", headers=none, content=b"1234").status_code == 404
    project = root.get(version_url.partition("/packages")[0]).json()["path_with_namespace"].replace("/", "%2F")
    by_path = f"/projects/{project}/packages{version_url.partition('/packages')[2]}/w.bin"
    assert root.put(by_path, headers=headers, content=b"1234").status_code == 201
