"""tus 1.0.0 over a real socket."""

from __future__ import annotations

import base64
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from modelyard.blobs._layout import Layout
from modelyard.blobs.store import BlobError, StoreFull, StoreUnavailable
from modelyard.services.resuming import settling, writers
from tests import tus
from tests.conftest import Account
from tests.e2e.processes import new_version
from tests.live import LiveServer, running
from tests.raw import read_answer
from tests.tus import CHUNK_TYPE, VERSION, begun, create, offset_of, patch, uploads_of
from tests.waiting import eventually

MIB = 1024 * 1024
CONTENT = os.urandom(3 * MIB + 77)


def read(client: httpx2.Client, files_url: str, path: str = "w.bin") -> bytes:
    answer = client.get(f"{files_url}/{path}")
    assert answer.status_code == 200, answer.text
    return answer.content


def is_there(client: httpx2.Client, files_url: str, path: str = "w.bin") -> bool:
    return client.head(f"{files_url}/{path}").status_code == 200


def test_options_tell_version_extensions_largest_size_and_algorithms(
    anonymous: httpx2.Client, version_url: str, root: httpx2.Client
) -> None:
    one = begun(root, version_url, 1)
    for url in (uploads_of(version_url), one):
        answer = anonymous.request("OPTIONS", url)
        assert answer.status_code == 204
        assert answer.headers["Tus-Version"] == "1.0.0"
        assert answer.headers["Tus-Max-Size"] == str(64 * MIB)
        assert set(answer.headers["Tus-Extension"].split(",")) == {
            "creation",
            "creation-with-upload",
            "creation-defer-length",
            "checksum",
            "termination",
            "expiration",
        }
        assert answer.headers["Tus-Checksum-Algorithm"] == "sha1,sha256,sha512,md5"


@pytest.mark.parametrize("sent", [{}, {"Tus-Resumable": "0.2.2"}])
def test_another_version_of_tus_is_412_and_changes_nothing(
    root: httpx2.Client, version_url: str, sent: dict[str, str]
) -> None:
    url = begun(root, version_url, 5)
    chunk = {"Upload-Offset": "0", "Content-Type": CHUNK_TYPE}
    answers = [
        root.post(
            uploads_of(version_url), headers={"Upload-Length": "1", "Upload-Metadata": tus.metadata(path="x")} | sent
        ),
        root.patch(url, headers=chunk | sent, content=b"12345"),
        root.head(url, headers=sent),
        root.delete(url, headers=sent),
    ]
    for answer in answers:
        assert answer.status_code == 412
        assert answer.headers["Tus-Version"] == "1.0.0"
        assert answer.headers["Tus-Resumable"] == "1.0.0"
    assert answers[1].json()["message"].startswith("412 Precondition Failed")
    assert offset_of(root, url) == 0


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 400),
        ({"Upload-Length": "5", "Upload-Defer-Length": "1"}, 400),
        ({"Upload-Defer-Length": "2"}, 400),
        ({"Upload-Length": "-5"}, 400),
        ({"Upload-Length": "5x"}, 400),
        ({"Upload-Length": str(2**63)}, 400),
        ({"Upload-Length": str(64 * MIB + 1)}, 413),
        ({"Upload-Length": "5", "Upload-Concat": "partial"}, 400),
        ({"Upload-Length": "5", "Repr-Digest": "sha-512=:bm9uZQ==:"}, 400),
        ({"Upload-Length": "5", "Digest": "MD5=XUFAKrxLKna5cZ2REBfFkg=="}, 400),
        ({"Upload-Length": "5", "Repr-Digest": "nonsense"}, 400),
    ],
)
def test_a_creation_that_cannot_be_is_refused_and_keeps_nothing(
    server: LiveServer, root: httpx2.Client, version_url: str, headers: dict[str, str], status: int
) -> None:
    before = server.partial()
    told = VERSION | {"Upload-Metadata": tus.metadata(path="w.bin")}
    answer = root.post(uploads_of(version_url), headers=told | headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["Tus-Resumable"] == "1.0.0"
    assert set(answer.json()) <= {"message", "error"}
    assert server.partial() == before


def test_an_empty_file_is_there_at_once(root: httpx2.Client, version_url: str) -> None:
    answer = create(root, version_url, 0)
    assert answer.status_code == 201
    assert answer.headers["Upload-Offset"] == "0"
    assert read(root, version_url) == b""


def test_the_location_is_right_behind_a_prefix(tmp_path: Path) -> None:
    with (
        running(tmp_path, external_url="https://models.example.com/registry") as server,
        server.client(server.root_token) as client,
    ):
        url = begun(client, new_version(client), 1)
        assert url.startswith("https://models.example.com/registry/api/v4/uploads/")


@pytest.mark.parametrize(
    "header",
    [
        "path !",
        "path",
        "path dw==,path dw==",
        "path gICA",
        "",
        "type dw==",
        "p\x7fath dw==",
        "path " + base64.b64encode(b"x" * 4096).decode(),
        tus.metadata(path="../w"),
        tus.metadata(path="a//b"),
        tus.metadata(path="a%2Fb"),
        tus.metadata(path="a\nb"),
        tus.metadata(path="x" * 256),
    ],
)
def test_metadata_that_cannot_be_read_or_name_no_file_are_400(
    root: httpx2.Client, version_url: str, header: str
) -> None:
    headers = VERSION | {"Upload-Length": "1", "Upload-Metadata": header}
    answer = root.post(uploads_of(version_url), headers=headers)
    assert answer.status_code == 400, answer.text


def test_head_repeats_the_metadata(root: httpx2.Client, version_url: str) -> None:
    told = tus.metadata(filename="ü/weights.bin", filetype="a/b") + ",empty"
    answer = create(root, version_url, 1, Upload_Metadata=told)
    assert root.head(answer.headers["Location"], headers=VERSION).headers["Upload-Metadata"] == told


def test_another_s_upload_is_404_for_every_verb(
    root: httpx2.Client,
    make_user: Callable[..., Account],
    make_project: Callable[..., dict[str, Any]],
    make_version: Callable[..., int],
) -> None:
    owner, member = make_user(), make_user()
    project = make_project(owner)
    answer = owner.client.post(f"/projects/{project['id']}/members", json={"user_id": member.id, "access_level": 40})
    assert answer.status_code == 201
    url = begun(owner.client, f"/projects/{project['id']}/packages/ml_models/{make_version(project['id'])}/files", 5)
    for client in (member.client, root):
        answers = [
            client.head(url, headers=VERSION),
            patch(client, url, 0, b"12345"),
            client.delete(url, headers=VERSION),
        ]
        assert [each.status_code for each in answers] == [404, 404, 404]
        assert "Upload-Offset" not in answers[0].headers
    assert patch(owner.client, url, 0, b"12345").status_code == 204


def test_strangers_are_401(anonymous: httpx2.Client, root: httpx2.Client, version_url: str) -> None:
    url = begun(root, version_url, 5)
    answers = [
        create(anonymous, version_url, 5),
        anonymous.head(url, headers=VERSION),
        patch(anonymous, url, 0, b"12345"),
        anonymous.delete(url, headers=VERSION),
    ]
    assert [each.status_code for each in answers] == [401] * 4


@pytest.mark.parametrize("uid", ["0" * 32, "x", "0" * 31 + "%41", "A" * 32])
def test_an_upload_that_is_none_is_404(root: httpx2.Client, uid: str) -> None:
    url = f"/uploads/{uid}"
    answers = [root.head(url, headers=VERSION), patch(root, url, 0, b"x"), root.delete(url, headers=VERSION)]
    assert [each.status_code for each in answers] == [404] * 3


def test_head_tells_offset_and_length_and_is_not_stored(root: httpx2.Client, version_url: str) -> None:
    url = begun(root, version_url, 10)
    patch(root, url, 0, b"1234")
    answer = root.head(url, headers=VERSION)
    assert answer.status_code == 200
    assert answer.headers["Upload-Offset"] == "4"
    assert answer.headers["Upload-Length"] == "10"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Tus-Resumable"] == "1.0.0"


def test_pieces_make_the_file_with_its_digest(server: LiveServer, root: httpx2.Client, version_url: str) -> None:
    url, offset = begun(root, version_url, len(CONTENT), "dir/w.bin"), 0
    for size in (1, 4095, 1_200_000, len(CONTENT)):
        piece = CONTENT[offset : offset + size]
        assert not is_there(root, version_url, "dir/w.bin")
        answer = patch(root, url, offset, piece)
        assert answer.status_code == 204, answer.text
        offset += len(piece)
        assert answer.headers["Upload-Offset"] == str(offset)
        assert answer.headers["Tus-Resumable"] == "1.0.0"
    assert answer.headers["ETag"] == f'"{hashlib.sha256(CONTENT).hexdigest()}"'
    assert read(root, version_url, "dir/w.bin") == CONTENT
    assert offset_of(root, url) == len(CONTENT)
    assert not any(url.rpartition("/")[2] in path.name for path in server.partial())


@pytest.mark.parametrize("offset", [0, 3, 5, 10, 2**62])
def test_another_offset_is_409_and_changes_nothing(root: httpx2.Client, version_url: str, offset: int) -> None:
    url = begun(root, version_url, 10)
    patch(root, url, 0, b"1234")
    answer = patch(root, url, offset, b"x" * max(0, 10 - offset) or b"x")
    assert answer.status_code == 409
    assert answer.headers["Upload-Offset"] == "4"
    assert patch(root, url, 4, b"567890").status_code == 204
    assert read(root, version_url) == b"1234567890"


@pytest.mark.parametrize("sent", ["", "-1", "1.0", "x", str(2**63)])
def test_an_offset_that_is_none_is_400(root: httpx2.Client, version_url: str, sent: str) -> None:
    url = begun(root, version_url, 10)
    answer = root.patch(url, headers=VERSION | {"Upload-Offset": sent, "Content-Type": CHUNK_TYPE}, content=b"x")
    assert answer.status_code == 400
    assert root.patch(url, headers=VERSION | {"Content-Type": CHUNK_TYPE}, content=b"x").status_code == 400


@pytest.mark.parametrize("kind", ["application/octet-stream", "application/x-www-form-urlencoded", ""])
def test_another_type_is_415(root: httpx2.Client, version_url: str, kind: str) -> None:
    url = begun(root, version_url, 4)
    answer = patch(root, url, 0, b"1234", Content_Type=kind)
    assert answer.status_code == 415
    assert offset_of(root, url) == 0
    with_bytes = root.post(
        uploads_of(version_url),
        headers=VERSION | {"Upload-Length": "4", "Upload-Metadata": tus.metadata(path="x"), "Content-Type": kind},
        content=b"1234",
    )
    assert with_bytes.status_code == 415


def test_compressed_bytes_are_415(root: httpx2.Client, version_url: str) -> None:
    url = begun(root, version_url, 4)
    assert patch(root, url, 0, b"1234", Content_Encoding="gzip").status_code == 415


def test_more_bytes_than_the_rest_are_413_and_leave_the_upload_as_it_is(root: httpx2.Client, version_url: str) -> None:
    url = begun(root, version_url, 10)
    patch(root, url, 0, b"1234")
    for content in (b"5678901", iter([b"567", b"8901"])):
        assert patch(root, url, 4, content).status_code == 413
        assert offset_of(root, url) == 4
    assert patch(root, url, 4, b"567890").status_code == 204
    assert read(root, version_url) == b"1234567890"


def test_pieces_in_chunks_work(root: httpx2.Client, version_url: str) -> None:
    url = begun(root, version_url, len(CONTENT))
    half = len(CONTENT) // 2
    for start, stop in ((0, half), (half, len(CONTENT))):
        pieces = (CONTENT[at : min(at + 70_001, stop)] for at in range(start, stop, 70_001))
        assert patch(root, url, start, pieces).status_code == 204
    assert read(root, version_url) == CONTENT


@pytest.mark.parametrize("sent", [1, 300_000, 2 * MIB + 5])
def test_what_came_before_a_cut_is_kept(server: LiveServer, root: httpx2.Client, version_url: str, sent: int) -> None:
    url = begun(root, version_url, len(CONTENT))
    with server.connect() as connection:
        connection.sendall(head_of_patch(server, url, 0, len(CONTENT)))
        eventually(lambda: server.app.state.uploads._writers._writing)
        connection.sendall(CONTENT[:sent])
    eventually(lambda: durable(server, url) == sent and not server.app.state.uploads._writers._writing)
    assert offset_of(root, url) == sent
    assert patch(root, url, sent, CONTENT[sent:]).status_code == 204
    assert read(root, version_url) == CONTENT


@pytest.mark.parametrize("sent", [300_000, 2 * MIB + 5])
def test_what_was_sent_before_a_cut_is_kept_though_a_newcomer_asks_at_once(
    server: LiveServer, root: httpx2.Client, version_url: str, monkeypatch: pytest.MonkeyPatch, sent: int
) -> None:
    monkeypatch.setattr(writers, "DRAIN_SECONDS", 30.0)  # a busy machine takes its time
    url = begun(root, version_url, len(CONTENT))
    with server.connect() as connection:
        connection.sendall(head_of_patch(server, url, 0, len(CONTENT)))
        eventually(lambda: server.app.state.uploads._writers._writing)
        connection.sendall(CONTENT[:sent])
    assert offset_of(root, url) == sent


def durable(server: LiveServer, url: str) -> int:
    """The bytes that are recorded, without ending whoever writes."""
    with server.app.state.database.reading() as registry:
        return int(registry.resumable.by_uid(url.rpartition("/")[2], 0).size)


def head_of_patch(server: LiveServer, url: str, offset: int, length: int, token: str | None = None) -> bytes:
    lines = [
        f"PATCH /api/v4/uploads/{url.rpartition('/')[2]} HTTP/1.1",
        f"Host: 127.0.0.1:{server.port}",
        f"Authorization: Bearer {token or server.root_token}",
        "Tus-Resumable: 1.0.0",
        f"Upload-Offset: {offset}",
        f"Content-Type: {CHUNK_TYPE}",
        f"Content-Length: {length}",
        "",
        "",
    ]
    return "\r\n".join(lines).encode()


def test_a_newcomer_ends_a_patch_that_is_half_open_and_it_writes_no_more(
    server: LiveServer, root: httpx2.Client, version_url: str
) -> None:
    url = begun(root, version_url, len(CONTENT))
    with server.connect() as older:
        older.sendall(head_of_patch(server, url, 0, len(CONTENT)) + CONTENT[:MIB])
        eventually(lambda: server.app.state.uploads._writers._writing)
        offset = offset_of(root, url)
        assert offset <= MIB
        answer = read_answer(older)
        assert answer.status == 409
        assert patch(root, url, offset, CONTENT[offset : 2 * MIB]).status_code == 204
    assert patch(root, url, 2 * MIB, CONTENT[2 * MIB :]).status_code == 204
    assert read(root, version_url) == CONTENT


def test_of_two_patches_at_one_offset_one_wins_and_its_bytes_alone_are_there(
    server: LiveServer, version_url: str, root: httpx2.Client
) -> None:
    url = begun(root, version_url, 2 * MIB)
    contents, answers = [b"a" * 2 * MIB, b"b" * 2 * MIB], []

    def send(content: bytes) -> None:
        with server.client(server.root_token) as client:
            answers.append(patch(client, url, 0, content))

    threads = [threading.Thread(target=send, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers) in ([204, 409], [204, 413])
    assert read(root, version_url) in contents


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512", "md5"])
def test_a_checksum_is_held_and_where_it_is_wrong_all_of_the_piece_is_discarded(
    root: httpx2.Client, version_url: str, algorithm: str
) -> None:
    url = begun(root, version_url, 2 * MIB)
    first, second = os.urandom(MIB), os.urandom(MIB)
    right = tus.checksum(algorithm, hashlib.new(algorithm, first).digest())
    assert patch(root, url, 0, first, Upload_Checksum=right).status_code == 204
    answer = patch(root, url, MIB, second, Upload_Checksum=right)
    assert answer.status_code == 460
    assert answer.json()["message"] == "460 Checksum Mismatch"
    assert offset_of(root, url) == MIB
    assert patch(root, url, MIB, second).status_code == 204
    assert read(root, version_url) == first + second


def test_a_digest_of_the_body_is_held_as_a_checksum_is(root: httpx2.Client, version_url: str) -> None:
    url = begun(root, version_url, 8)
    assert patch(root, url, 0, b"1234", Content_Digest=repr_digest(b"4321")).status_code == 460
    assert offset_of(root, url) == 0
    assert patch(root, url, 0, b"1234", Content_Digest="none").status_code == 400
    assert patch(root, url, 0, b"1234", Content_Digest=repr_digest(b"1234")).status_code == 204


@pytest.mark.parametrize("sent", ["crc32 AAAA", "sha1", "sha1 !", "", "sha1 AAAA", "sha-1 AAAA"])
def test_a_checksum_that_is_not_known_or_cannot_be_read_is_refused(
    root: httpx2.Client, version_url: str, sent: str
) -> None:
    url = begun(root, version_url, 4)
    answer = patch(root, url, 0, b"1234", Upload_Checksum=sent)
    assert answer.status_code == 400
    assert offset_of(root, url) == 0


def test_a_cut_piece_with_a_checksum_is_discarded(server: LiveServer, root: httpx2.Client, version_url: str) -> None:
    url = begun(root, version_url, len(CONTENT))
    head = head_of_patch(server, url, 0, len(CONTENT))
    told = tus.checksum("sha1", hashlib.sha1(CONTENT).digest())
    with server.connect() as connection:
        connection.sendall(head[:-2] + f"Upload-Checksum: {told}\r\n\r\n".encode() + CONTENT[:MIB])
    eventually(lambda: not server.app.state.uploads._writers._writing)
    assert offset_of(root, url) == 0


def repr_digest(content: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"


def test_a_digest_that_was_given_first_is_held_at_the_end(
    server: LiveServer, root: httpx2.Client, version_url: str
) -> None:
    good = begun(root, version_url, 4, "good.bin", Repr_Digest=repr_digest(b"1234"))
    assert patch(root, good, 0, b"1234").status_code == 204
    wrong = begun(root, version_url, 4, "wrong.bin", Repr_Digest=repr_digest(b"4321"))
    answer = patch(root, wrong, 0, b"1234")
    assert answer.status_code == 400
    assert answer.json() == {"message": "400 Bad request - The content does not match its digest"}
    assert root.head(wrong, headers=VERSION).status_code == 410
    assert patch(root, wrong, 4, b"").status_code == 410
    assert not is_there(root, version_url, "wrong.bin")
    assert is_there(root, version_url, "good.bin")
    assert not any(wrong.rpartition("/")[2] in path.name for path in server.partial())


def test_completion_repeated_is_answered_as_before_and_makes_one_file(root: httpx2.Client, version_url: str) -> None:
    url = begun(root, version_url, 4)
    answers = [patch(root, url, 0, b"1234"), patch(root, url, 4, b""), patch(root, url, 4, b"")]
    assert [answer.status_code for answer in answers] == [204] * 3
    assert {answer.headers["Upload-Offset"] for answer in answers} == {"4"}
    assert {answer.headers["ETag"] for answer in answers} == {f'"{hashlib.sha256(b"1234").hexdigest()}"'}
    package = root.get(f"{version_url.partition('/packages')[0]}/packages").json()[0]
    files = root.get(f"{version_url.partition('/packages')[0]}/packages/{package['id']}/package_files").json()
    assert len(files) == 1
    assert patch(root, url, 0, b"1234").status_code == 409
    assert patch(root, url, 4, b"5").status_code == 413


def test_the_length_may_be_told_later_and_is_fixed_then(root: httpx2.Client, version_url: str) -> None:
    url = begun(root, version_url, None)
    assert root.head(url, headers=VERSION).headers["Upload-Defer-Length"] == "1"
    assert "Upload-Length" not in root.head(url, headers=VERSION).headers
    assert patch(root, url, 0, b"1234").status_code == 204
    assert patch(root, url, 4, b"56", Upload_Length="3").status_code == 400
    assert patch(root, url, 4, b"56", Upload_Length="5").status_code == 413
    assert patch(root, url, 4, b"56", Upload_Length="8").status_code == 204
    assert root.head(url, headers=VERSION).headers["Upload-Length"] == "8"
    assert patch(root, url, 6, b"78", Upload_Length="9").status_code == 400
    assert patch(root, url, 6, b"78").status_code == 204
    assert read(root, version_url) == b"12345678"


def test_the_length_may_come_after_the_last_byte(root: httpx2.Client, version_url: str) -> None:
    url = begun(root, version_url, None)
    assert patch(root, url, 0, b"1234").status_code == 204
    assert patch(root, url, 4, b"", Upload_Length="4").status_code == 204
    assert read(root, version_url) == b"1234"


@pytest.mark.parametrize("deferred", [False, True])
def test_a_file_that_is_told_too_large_only_later_is_refused(tmp_path: Path, deferred: bool) -> None:
    with running(tmp_path, max_file_size=MIB) as server, server.client(server.root_token) as client:
        url = begun(client, new_version(client), None)
        length = {"Upload_Length": str(2 * MIB)} if deferred else {}
        answer = patch(client, url, 0, iter([b"x" * MIB, b"y"]), **length)
        assert answer.status_code in {400, 413}
        assert offset_of(client, url) == 0


def test_an_upload_is_cancelled_and_its_room_is_free(server: LiveServer, root: httpx2.Client, version_url: str) -> None:
    url = begun(root, version_url, 10)
    patch(root, url, 0, b"1234")
    uid = url.rpartition("/")[2]
    assert any(uid in path.name for path in server.partial())
    assert root.delete(url, headers=VERSION).status_code == 204
    assert not any(uid in path.name for path in server.partial())
    assert root.head(url, headers=VERSION).status_code == 404
    assert patch(root, url, 4, b"5").status_code == 404
    assert root.delete(url, headers=VERSION).status_code == 404


def test_a_finished_upload_is_forgotten_and_its_file_stays(root: httpx2.Client, version_url: str) -> None:
    url = begun(root, version_url, 4)
    patch(root, url, 0, b"1234")
    assert root.delete(url, headers=VERSION).status_code == 204
    assert read(root, version_url) == b"1234"


def test_cancelling_ends_a_patch_that_is_under_way_and_frees_its_room(
    server: LiveServer, root: httpx2.Client, version_url: str
) -> None:
    url = begun(root, version_url, len(CONTENT))
    with server.connect() as older:
        older.sendall(head_of_patch(server, url, 0, len(CONTENT)) + CONTENT[:MIB])
        eventually(lambda: server.app.state.uploads._writers._writing)
        assert root.delete(url, headers=VERSION).status_code == 204
        assert read_answer(older).status in {404, 409}
    assert not any(url.rpartition("/")[2] in path.name for path in server.partial())
    assert root.head(url, headers=VERSION).status_code == 404


def test_the_first_bytes_may_come_with_the_creation(root: httpx2.Client, version_url: str) -> None:
    headers = VERSION | {
        "Upload-Length": "8",
        "Upload-Metadata": tus.metadata(path="w.bin"),
        "Content-Type": CHUNK_TYPE,
    }
    answer = root.post(uploads_of(version_url), headers=headers, content=b"1234")
    assert answer.status_code == 201
    assert answer.headers["Upload-Offset"] == "4"
    assert patch(root, answer.headers["Location"], 4, b"5678").status_code == 204
    assert read(root, version_url) == b"12345678"
    whole = root.post(uploads_of(version_url), headers=headers, content=b"abcdefgh")
    assert whole.headers["Upload-Offset"] == "8"
    assert read(root, version_url) == b"abcdefgh"


def test_first_bytes_that_are_refused_leave_no_upload(
    server: LiveServer, root: httpx2.Client, version_url: str
) -> None:
    headers = VERSION | {
        "Upload-Length": "4",
        "Upload-Metadata": tus.metadata(path="w.bin"),
        "Content-Type": CHUNK_TYPE,
    }
    wrong = {"Upload-Checksum": tus.checksum("sha1", b"x" * 20)}
    before = unfinished(server)
    assert root.post(uploads_of(version_url), headers=headers, content=b"12345").status_code == 413
    assert root.post(uploads_of(version_url), headers=headers | wrong, content=b"1234").status_code == 460
    assert unfinished(server) == before


def unfinished(server: LiveServer) -> int:
    with server.app.state.database.reading() as registry:
        return int(registry.resumable.unfinished(0).uploads)


def test_the_method_may_be_overridden(root: httpx2.Client, version_url: str) -> None:
    url = begun(root, version_url, 4)
    headers = VERSION | {"Upload-Offset": "0", "Content-Type": CHUNK_TYPE, "X-HTTP-Method-Override": "PATCH"}
    assert root.post(url, headers=headers, content=b"12").status_code == 204
    assert root.post(url, headers=VERSION).status_code == 405
    assert root.post(url, headers=VERSION | {"X-HTTP-Method-Override": "DELETE"}).status_code == 204
    assert root.head(url, headers=VERSION).status_code == 404


def test_conditions_hold_at_the_beginning_and_at_the_end(root: httpx2.Client, version_url: str) -> None:
    url = begun(root, version_url, 4, If_None_Match="*")
    assert root.put(f"{version_url}/w.bin", content=b"other").status_code == 201
    answer = patch(root, url, 0, b"1234")
    assert answer.status_code == 412
    assert read(root, version_url) == b"other"
    assert create(root, version_url, 4, If_None_Match="*").status_code == 412


def test_a_version_that_goes_meanwhile_is_404_at_the_end(
    root: httpx2.Client, make_project: Callable[..., dict[str, Any]]
) -> None:
    project = make_project()["id"]
    base = f"/projects/{project}/ml/mlflow/api/2.0/mlflow"
    root.post(f"{base}/registered-models/create", json={"name": "m"})
    version = root.post(f"{base}/model-versions/create", json={"name": "m"}).json()["model_version"]
    url = begun(root, f"/projects/{project}/packages/ml_models/{version['version']}/files", 4)
    patch(root, url, 0, b"12")
    gone = root.request("DELETE", f"{base}/model-versions/delete", json={"name": "m", "version": version["version"]})
    assert gone.status_code == 200, gone.text
    assert patch(root, url, 2, b"34").status_code == 404
    assert root.head(url, headers=VERSION).status_code == 404
    assert root.delete(url, headers=VERSION).status_code == 204


def test_a_token_that_is_revoked_is_refused_and_another_of_the_same_user_goes_on(
    server: LiveServer,
    make_user: Callable[..., Account],
    make_token: Callable[..., dict[str, Any]],
    root: httpx2.Client,
    make_project: Callable[..., dict[str, Any]],
    make_version: Callable[..., int],
) -> None:
    user = make_user()
    project = make_project(user)["id"]
    files = f"/projects/{project}/packages/ml_models/{make_version(project)}/files"
    token = make_token(user.id)
    with server.client(token["token"]) as client:
        url = begun(client, files, 4)
        assert patch(client, url, 0, b"12").status_code == 204
        assert root.delete(f"/personal_access_tokens/{token['id']}").status_code == 204
        assert patch(client, url, 2, b"34").status_code == 401
    assert patch(user.client, url, 2, b"34").status_code == 204
    assert read(user.client, files) == b"1234"


def test_a_quota_that_shrinks_meanwhile_refuses_the_end_and_a_larger_one_lets_it_go_on(
    root: httpx2.Client, make_project: Callable[..., dict[str, Any]], make_version: Callable[..., int]
) -> None:
    project = make_project()["id"]
    files = f"/projects/{project}/packages/ml_models/{make_version(project)}/files"
    url = begun(root, files, 4)
    patch(root, url, 0, b"12")
    assert root.put(f"/projects/{project}", json={"storage_limit": 3}).status_code == 200
    assert patch(root, url, 2, b"34").status_code == 403
    assert not is_there(root, files)
    assert root.put(f"/projects/{project}", json={"storage_limit": 4}).status_code == 200
    assert patch(root, url, 2, b"34").status_code == 204
    assert read(root, files) == b"1234"


def test_what_is_on_its_way_counts_to_the_quota(
    root: httpx2.Client, make_project: Callable[..., dict[str, Any]], make_version: Callable[..., int]
) -> None:
    project = make_project()["id"]
    files = f"/projects/{project}/packages/ml_models/{make_version(project)}/files"
    assert root.put(f"/projects/{project}", json={"storage_limit": 100}).status_code == 200
    url = begun(root, files, 60)
    assert create(root, files, 41, "other.bin").status_code == 403
    assert root.put(f"{files}/other.bin", content=b"x" * 41).status_code == 403
    assert root.put(f"{files}/other.bin", content=iter([b"x" * 20, b"x" * 21])).status_code == 403
    assert root.put(f"{files}/other.bin", content=b"x" * 40).status_code == 201
    assert patch(root, url, 0, b"y" * 60).status_code == 204
    assert create(root, files, 1, "more.bin").status_code == 403
    deferred = create(root, files, None, "more.bin")
    assert patch(root, deferred.headers["Location"], 0, iter([b"z"])).status_code == 403


def test_too_many_unfinished_uploads_of_a_token_are_429(tmp_path: Path) -> None:
    with running(tmp_path, max_unfinished_uploads=2) as server, server.client(server.root_token) as client:
        files = new_version(client)
        first = begun(client, files, 1, "a")
        begun(client, files, 1, "b")
        answer = create(client, files, 1, "c")
        assert answer.status_code == 429
        assert int(answer.headers["Retry-After"]) > 0
        assert patch(client, first, 0, b"x").status_code == 204
        assert create(client, files, 1, "c").status_code == 201


def test_expiry_slides_with_each_piece(root: httpx2.Client, version_url: str, server: LiveServer) -> None:
    url = begun(root, version_url, 10)
    with server.app.state.database.writing() as registry:
        upload = registry.resumable.by_uid(url.rpartition("/")[2], 0)
        upload.expires_at -= 60_000
        before = upload.expires_at
    answer = patch(root, url, 0, b"1")
    assert "Upload-Expires" in answer.headers
    with server.app.state.database.reading() as registry:
        assert registry.resumable.by_uid(url.rpartition("/")[2], 0).expires_at > before


def test_head_waits_for_what_another_has_left_and_says_locked_where_that_takes_long(
    server: LiveServer, root: httpx2.Client, version_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = begun(root, version_url, 4)
    store, go_on = server.app.state.store, threading.Event()
    patch(root, url, 0, b"12")
    resume = type(store).hold

    def holding(self: Any, name: str, *, new: bool) -> Any:
        found = resume(self, name, new=new)
        if found is not None and name == url.rpartition("/")[2]:
            known = found.resume

            def slowly(checkpoint: Any) -> Any:
                writer = known(checkpoint)
                publish = writer.publish

                def published() -> None:
                    go_on.wait(30)
                    publish()

                writer.publish = published
                return writer

            found.resume = slowly
        return found

    monkeypatch.setattr(type(store), "hold", holding)
    monkeypatch.setattr(settling, "SETTLE_SECONDS", 0.1)
    answers: list[httpx2.Response] = []

    def send() -> None:
        with server.client(server.root_token) as client:
            answers.append(patch(client, url, 2, b"34"))

    sending = threading.Thread(target=send)
    sending.start()
    try:
        eventually(lambda: durable(server, url) == 4)
        assert root.head(url, headers=VERSION).status_code == 423
    finally:
        go_on.set()
        sending.join()
    assert answers[0].status_code == 204
    assert offset_of(root, url) == 4


@pytest.mark.parametrize(("error", "status"), [(StoreFull, 507), (StoreUnavailable, 503)])
def test_head_is_423_while_there_is_no_room_as_clients_begin_anew_at_other_refusals(
    root: httpx2.Client, version_url: str, monkeypatch: pytest.MonkeyPatch, error: type[BlobError], status: int
) -> None:
    def refuse(*_arguments: object) -> None:
        raise error("for now")

    content = os.urandom(4)  # that no other file has
    url = begun(root, version_url, len(content))
    with monkeypatch.context() as patched:
        patched.setattr(Layout, "adopt", refuse)
        assert patch(root, url, 0, content).status_code == status
        asked = root.head(url, headers=VERSION)
        assert (asked.status_code, asked.headers["Retry-After"]) == (423, "5")
        assert root.head(url, headers={"Upload-Draft-Interop-Version": "8"}).status_code == status
    assert offset_of(root, url) == len(content)
    assert read(root, version_url) == content


@pytest.fixture(autouse=True)
def no_upload_is_left_written(server: LiveServer) -> Iterator[None]:
    yield
    eventually(lambda: not server.app.state.uploads._writers._writing)
