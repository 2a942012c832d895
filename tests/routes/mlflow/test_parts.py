"""MLflow's multipart uploads: parts in any order, and a file when all of them are there."""

from __future__ import annotations

import base64
import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from modelyard.services.resuming import parts as resuming_parts
from modelyard.services.upkeep.collecting import collect
from modelyard.services.upkeep.expiring import check_uploads
from tests.conftest import Account
from tests.e2e.processes import MIB, new_version
from tests.live import LiveServer, running
from tests.raw import exchange
from tests.routes.mlflow.conftest import Mlflow, code_of
from tests.tus import begun
from tests.waiting import eventually

MISSING, INVALID = "RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"
PARTS = [os.urandom(MIB), os.urandom(MIB), os.urandom(77)]


@pytest.fixture
def api(mlflow: Mlflow) -> Mlflow:
    """With candidate 1."""
    mlflow.run(mlflow.experiment())
    return mlflow


def put(url: str, **options: Any) -> httpx2.Response:
    """As MLflow's client sends a part: without a token."""
    return httpx2.put(url, timeout=60, **options)


def mpu(api: Mlflow, operation: str, tail: str = "candidate:1", **body: object) -> httpx2.Response:
    return api.client.post(f"{api.root}/api/2.0/mlflow-artifacts/mpu/{operation}/{tail}", json=body)


def created(api: Mlflow, local: str = "/srv/ada/model.bin", tail: str = "candidate:1", count: int = len(PARTS)) -> Any:
    answer = mpu(api, "create", tail, path=local, num_parts=count)
    assert answer.status_code == 200, answer.text
    return answer.json()


def send(upload: Any, number: int, content: bytes) -> str:
    """Send a part as MLflow's client does: without a token, and with no more headers than it was told."""
    (told,) = [each for each in upload["credentials"] if each["part_number"] == number]
    answer = put(told["url"], headers=told["headers"], content=content)
    assert answer.status_code == 200, answer.text
    return str(answer.headers["ETag"])


def send_all(upload: Any, order: tuple[int, ...] = (1, 2, 3)) -> list[dict[str, object]]:
    etags = {number: send(upload, number, PARTS[number - 1]) for number in order}
    return [{"part_number": number, "etag": etags[number], "url": "x"} for number in sorted(etags)]


def complete(api: Mlflow, upload: Any, parts: list[dict[str, object]], tail: str = "candidate:1") -> httpx2.Response:
    body = {"path": "/srv/ada/model.bin", "upload_id": upload["upload_id"], "parts": parts}
    return mpu(api, "complete", tail, **body)


def unfinished(server: LiveServer) -> int:
    with server.app.state.database.reading() as registry:
        return int(registry.resumable.unfinished(0).uploads)


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2), (3, 2, 1), (2, 2, 3, 1)])
def test_parts_in_any_order_twice_or_the_last_first_make_the_file(api: Mlflow, order: tuple[int, ...]) -> None:
    upload = created(api)
    assert [each["part_number"] for each in upload["credentials"]] == [1, 2, 3]
    assert all(each["headers"] == {} for each in upload["credentials"])
    answer = complete(api, upload, send_all(upload, order))
    assert (answer.status_code, answer.json()) == (200, {})
    assert api.artifact("GET", "candidate:1/model.bin").content == b"".join(PARTS)


def test_several_parts_at_once_make_the_file_and_a_part_that_is_sent_again_replaces_the_first(api: Mlflow) -> None:
    upload = created(api)
    send(upload, 1, b"another")
    etags: dict[int, str] = {}
    threads = [
        threading.Thread(target=lambda n=number: etags.update({n: send(upload, n, PARTS[n - 1])}))
        for number in (3, 2, 1)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert complete(api, upload, [{"part_number": n, "etag": etags[n]} for n in (1, 2, 3)]).status_code == 200
    assert api.artifact("GET", "candidate:1/model.bin").content == b"".join(PARTS)


def test_a_part_that_is_missing_at_completion_is_named(api: Mlflow) -> None:
    upload = created(api)
    parts = send_all(upload, (1, 3))
    for told in (parts, [*parts, {"part_number": 2, "etag": '"x"'}]):
        answer = complete(api, upload, told)
        assert code_of(answer, 400) == INVALID
        assert "Part 2 is missing" in answer.json()["message"]
    parts.insert(1, {"part_number": 2, "etag": send(upload, 2, b"x")})
    assert "Part 2 is another" in complete(api, upload, [*parts[:1], {"part_number": 2, "etag": "y"}, *parts[2:]]).text
    assert "There are 3 parts" in complete(api, upload, [*parts, {"part_number": 4, "etag": "y"}]).text
    assert "named twice" in complete(api, upload, [*parts, parts[0]]).text
    assert api.listing("candidate:1") == []
    assert complete(api, upload, parts).status_code == 200


def test_complete_may_be_repeated_and_abort_after_it_keeps_the_file(api: Mlflow) -> None:
    upload = created(api)
    parts = send_all(upload)
    assert [complete(api, upload, parts).status_code for _ in range(3)] == [200] * 3
    body = {"path": "/srv/ada/model.bin", "upload_id": upload["upload_id"]}
    assert mpu(api, "abort", **body).status_code == 200
    assert api.artifact("GET", "candidate:1/model.bin").content == b"".join(PARTS)
    assert len(api.listing("candidate:1")) == 1


def test_abort_forgets_the_parts(server: LiveServer, api: Mlflow) -> None:
    before = unfinished(server)
    upload = created(api)
    digest = send(upload, 1, os.urandom(1000)).strip('"')
    assert server.app.state.store.stat(digest) is not None
    body = {"path": "/srv/ada/model.bin", "upload_id": upload["upload_id"]}
    assert mpu(api, "abort", **body).status_code == 200
    assert server.app.state.store.stat(digest) is None
    assert unfinished(server) == before
    assert code_of(mpu(api, "abort", **body), 404) == MISSING
    assert code_of(complete(api, upload, []), 404) == MISSING
    assert put(upload["credentials"][0]["url"], content=b"x").status_code == 404


def test_parts_leave_no_bytes_beside_the_file(server: LiveServer, api: Mlflow) -> None:
    upload = created(api)
    parts = send_all(upload)
    digests = {str(part["etag"]).strip('"') for part in parts}
    assert complete(api, upload, parts).status_code == 200
    eventually(lambda: not any(server.app.state.store.stat(digest) for digest in digests))


def test_gc_leaves_parts_of_what_goes_on(tmp_path: Path) -> None:
    with running(tmp_path) as server, server.client(server.root_token) as client:
        version = new_version(client).split("/")[-2]
        api = Mlflow(client, 1)
        upload = created(api, tail=version)
        parts = send_all(upload)
        assert list(collect(server.app.state.database, server.app.state.store, grace=-1, dry_run=False)) == []
        assert complete(api, upload, parts, tail=version).status_code == 200


@pytest.mark.parametrize(
    ("local", "tail", "name"),
    [
        ("/srv/ada/m.bin", "candidate:1", "m.bin"),
        ("C:\\Users\\Ada\\my model.bin", "candidate:1", "my model.bin"),
        ("m.bin", "candidate:1/a%20dir/%C3%BC", "a dir/ü/m.bin"),
        ("/tmp/100%.bin", "candidate:1/d", "d/100%.bin"),
    ],
)
def test_the_file_goes_to_the_directory_by_the_name_that_it_has_on_any_machine(
    api: Mlflow, local: str, tail: str, name: str
) -> None:
    upload = created(api, local, tail, 1)
    etag = send(upload, 1, b"content")
    body: dict[str, Any] = {
        "path": local,
        "upload_id": upload["upload_id"],
        "parts": [{"part_number": 1, "etag": etag}],
    }
    assert mpu(api, "complete", tail, **body).status_code == 200
    listed = api.listing("candidate:1/" + name.rpartition("/")[0]) if "/" in name else api.listing("candidate:1")
    assert [each["path"] for each in listed] == [name.rpartition("/")[2]]


def test_a_path_may_name_another_project(api: Mlflow) -> None:
    upload = created(api, tail=f"projects/{api.project}/candidate:1", count=1)
    etag = send(upload, 1, b"x")
    parts: list[dict[str, object]] = [{"part_number": 1, "etag": etag}]
    assert complete(api, upload, parts, tail=f"projects/{api.project}/candidate:1").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {"num_parts": 1},
        {"path": "x"},
        {"path": "x", "num_parts": 0},
        {"path": "x", "num_parts": "many"},
        {"path": "/", "num_parts": 1},
        {"path": "..", "num_parts": 1},
    ],
)
def test_a_creation_that_cannot_be_is_400(api: Mlflow, body: dict[str, Any]) -> None:
    assert code_of(mpu(api, "create", **body), 400) == INVALID


def test_too_many_parts_are_declined_so_that_clients_fall_back(api: Mlflow) -> None:
    answer = mpu(api, "create", path="x", num_parts=10_001)
    assert code_of(answer, 501) == "NOT_IMPLEMENTED"
    assert answer.json()["message"].startswith("Multipart upload is not supported for the current artifact repository")


def test_a_completion_tells_of_as_many_parts_as_an_upload_may_have(api: Mlflow) -> None:
    """100 GB in parts of 10 MiB, each told of as the client does: that are 70 000 values."""
    upload = created(api, count=resuming_parts.MAX_PARTS)
    urls = {each["part_number"]: each["url"] for each in upload["credentials"]}
    told = [{"part_number": number, "etag": f"{number:064x}", "url": url} for number, url in urls.items()]
    answer = complete(api, upload, told)
    assert (answer.status_code, answer.json()["message"]) == (400, "400 Bad request - Part 1 is missing")


def test_a_part_of_a_part_and_one_that_is_not_as_its_digest_says_are_400_and_not_kept(api: Mlflow) -> None:
    upload = created(api)
    first, content = upload["credentials"][0]["url"], PARTS[0]
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
    for headers in (
        {"Content-Range": f"bytes 0-{len(content) - 1}/99999999"},
        {"Content-Digest": f"sha-256=:{digest}:"},
        {"Repr-Digest": f"sha-256=:{digest}:"},
        {"Content-MD5": "none"},
    ):
        assert put(first, content=b"x" + content, headers=headers).status_code == 400, headers
    parts = send_all(upload, (2, 3))
    parts.append({"part_number": 1, "etag": hashlib.sha256(b"x" + content).hexdigest(), "url": "x"})
    assert "Part 1 is missing" in complete(api, upload, parts).json()["message"]
    assert put(first, content=content, headers={"Content-Digest": f"sha-256=:{digest}:"}).status_code == 200


def test_a_url_is_for_one_part_alone_and_only_while_its_token_holds(
    server: LiveServer,
    root: httpx2.Client,
    make_user: Callable[..., Account],
    make_project: Callable[..., dict[str, Any]],
    make_token: Callable[..., dict[str, Any]],
) -> None:
    user = make_user()
    project = make_project(user)["id"]
    Mlflow(user.client, project).run()
    token = make_token(user.id)
    with server.client(token["token"]) as client:
        api = Mlflow(client, project)
        upload = created(api)
        first, second = (upload["credentials"][at]["url"] for at in (0, 1))
        for other in (first.replace("/parts/1", "/parts/2"), first.partition("?")[0], first + "%C3%A9"):
            assert put(other, content=b"x").status_code == 404, other
        assert put(first.replace("/parts/1", "/parts/x"), content=b"x").status_code == 404
        assert put(first.replace(upload["upload_id"], "0" * 32), content=b"x").status_code == 404
        assert put(first, content=b"x", headers={"Content-Encoding": "gzip"}).status_code == 415
        assert put(first, files={"file": b"x"}).status_code == 400
        assert put(first, content=b"x").status_code == 200
        assert client.head(f"/uploads/{upload['upload_id']}", headers={"Tus-Resumable": "1.0.0"}).status_code == 404
        assert root.delete(f"/personal_access_tokens/{token['id']}").status_code == 204
    assert put(second, content=b"x").status_code == 401
    other = Mlflow(make_user().client, project)
    assert mpu(other, "complete", path="x", upload_id=upload["upload_id"], parts=[]).status_code == 404


def test_uploads_of_another_kind_or_place_and_those_of_strangers_have_no_parts(
    api: Mlflow, anonymous: httpx2.Client, version_url: str, root: httpx2.Client
) -> None:
    upload = created(api)
    elsewhere = {"path": "/srv/ada/other.bin", "upload_id": upload["upload_id"]}
    assert mpu(api, "abort", **elsewhere).status_code == 404
    assert mpu(api, "abort", path="/srv/ada/model.bin", upload_id="no id").status_code == 404
    body = {"path": "/srv/ada/model.bin", "upload_id": upload["upload_id"]}
    assert anonymous.post(f"{api.root}/api/2.0/mlflow-artifacts/mpu/abort/candidate:1", json=body).status_code == 401
    other = begun(root, version_url, 4).rpartition("/")[2]
    first = upload["credentials"][0]["url"]
    assert put(first.replace(upload["upload_id"], other), content=b"x").status_code == 404
    assert mpu(api, "abort", path="w.bin", upload_id=other).status_code == 404
    send_all(upload)
    assert mpu(api, "abort", **body).status_code == 200


def test_what_a_file_may_have_is_held_while_parts_come(tmp_path: Path) -> None:
    with running(tmp_path, max_file_size=1000) as server, server.client(server.root_token) as client:
        version = new_version(client).split("/")[-2]
        api = Mlflow(client, 1)
        upload = created(api, tail=version)
        send(upload, 1, b"x" * 600)
        url = upload["credentials"][1]["url"]
        assert put(url, content=b"x" * 401).status_code == 400
        assert put(url, content=iter([b"x" * 300, b"x" * 101])).status_code == 400
        assert client.put("/projects/1", json={"storage_limit": 900}).status_code == 200
        assert put(url, content=b"x" * 301).status_code == 403
        assert put(url, content=b"x" * 300).status_code == 200


def test_a_completion_that_takes_long_is_503_and_goes_on_meanwhile(
    api: Mlflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = created(api)
    parts = send_all(upload)
    monkeypatch.setattr(resuming_parts, "JOIN_SECONDS", 0.0)
    statuses = [complete(api, upload, parts).status_code]
    while statuses[-1] == 503:
        statuses.append(complete(api, upload, parts).status_code)
    assert statuses[-1] == 200
    assert api.artifact("GET", "candidate:1/model.bin").content == b"".join(PARTS)


def test_a_part_whose_bytes_are_gone_is_named(server: LiveServer, api: Mlflow) -> None:
    upload = created(api)
    parts = send_all(upload)
    uid = upload["upload_id"]
    database, store = server.app.state.database, server.app.state.store
    assert uid not in {found.uid for found in check_uploads(database, store)}
    store.delete(str(parts[1]["etag"]).strip('"'))
    assert uid in {found.uid for found in check_uploads(database, store)}
    assert "Part 2 is not there any more" in complete(api, upload, parts).text


def test_bytes_that_the_end_of_another_upload_removes_just_before_they_are_recorded_are_put_back(
    server: LiveServer, api: Mlflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    database, store = server.app.state.database, server.app.state.store
    write = database.write
    upload, content = created(api, count=1), os.urandom(MIB)

    async def removed_before(work: Callable[..., Any], **options: Any) -> Any:
        store.delete(hashlib.sha256(content).hexdigest())
        return await write(work, **options)

    monkeypatch.setattr(database, "write", removed_before)
    etag = send(upload, 1, content)
    monkeypatch.undo()
    assert complete(api, upload, [{"part_number": 1, "etag": etag}]).status_code == 200
    assert api.artifact("GET", "candidate:1/model.bin").content == content


def test_a_part_that_ends_early_is_not_kept(server: LiveServer, api: Mlflow) -> None:
    upload = created(api)
    path = upload["credentials"][0]["url"].removeprefix(server.url)
    head = f"PUT {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Length: 10\r\n\r\n".encode()
    assert exchange(server, head, b"12345", half_close=True).status == 400
    assert "Part 1 is missing" in complete(api, upload, []).text
