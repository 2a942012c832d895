"""Authorize, upload and download, as a client that behaves sees them."""

from __future__ import annotations

import hashlib
import os
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest

from tests.live import LiveServer
from tests.programs import curl

LARGE = os.urandom(3 * 1024 * 1024 + 17)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def repr_digest(content: bytes, algorithm: str = "sha-256") -> str:
    digest = hashlib.new(algorithm.replace("-", ""), content).digest()
    return f"{algorithm}=:{b64encode(digest).decode()}:"


@pytest.fixture(params=["raw", "chunked", "form"])
def put(request: pytest.FixtureRequest, root: httpx2.Client) -> Callable[[str, bytes], httpx2.Response]:
    """Uploads in each of the forms that clients use."""

    def send(url: str, content: bytes, **headers: str) -> httpx2.Response:
        if request.param == "form":
            return root.put(url, files={"file": ("other-name.bin", content)}, headers=headers)
        body: Any = (
            content if request.param == "raw" else iter([content[i : i + 9999] for i in range(0, len(content), 9999)])
        )
        return root.put(url, content=body, headers=headers)

    return send


@pytest.mark.parametrize("content", [b"", b"x", LARGE], ids=["empty", "one-byte", "large"])
@pytest.mark.parametrize("name", ["model.pkl", "a%20dir/%C3%BCn%C3%AFcode/model.safetensors"])
def test_a_file_goes_up_and_comes_back(
    put: Callable[..., httpx2.Response], root: httpx2.Client, version_url: str, name: str, content: bytes
) -> None:
    url = f"{version_url}/{name}"
    created = put(url, content)
    assert (created.status_code, created.json()) == (201, {"message": "201 Created"})
    got = root.get(url)
    assert got.status_code == 200
    assert got.content == content


def test_an_upload_says_where_and_what_was_stored(root: httpx2.Client, server: LiveServer, version_url: str) -> None:
    url = f"{version_url}/d%C3%AFr/a%20b.bin"
    created = root.put(url, content=b"content")
    assert created.headers["location"] == server.api + url
    assert created.headers["etag"] == f'"{sha256(b"content")}"'
    assert created.headers["repr-digest"] == repr_digest(b"content")


def test_a_download_has_every_header_that_clients_rely_on(root: httpx2.Client, version_url: str) -> None:
    url = f"{version_url}/dir/m%C3%B6del.bin"
    root.put(url, content=b"content")
    headers = root.get(url).headers
    assert headers["content-length"] == "7"
    assert headers["accept-ranges"] == "bytes"
    assert headers["etag"] == f'"{sha256(b"content")}"'
    assert headers["repr-digest"] == repr_digest(b"content")
    assert headers["last-modified"].endswith("GMT")
    assert headers["content-type"] == "application/octet-stream"
    assert headers["content-disposition"] == (
        "attachment; filename=\"m_del-f725d08c.bin\"; filename*=UTF-8''m%C3%B6del.bin"
    )
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-request-id"]


def test_head_has_the_headers_of_get_and_no_body(root: httpx2.Client, version_url: str) -> None:
    root.put(f"{version_url}/f", content=LARGE)
    head, got = root.head(f"{version_url}/f"), root.get(f"{version_url}/f")
    varying = {"date", "x-request-id"}
    assert head.status_code == 200
    assert {k: v for k, v in head.headers.items() if k not in varying} == {
        k: v for k, v in got.headers.items() if k not in varying
    }
    assert head.content == b""


def test_head_ignores_ranges(root: httpx2.Client, version_url: str) -> None:
    root.put(f"{version_url}/f", content=b"0123456789")
    assert root.head(f"{version_url}/f", headers={"Range": "bytes=0-1"}).status_code == 200


@pytest.mark.parametrize("size", [1000, len(LARGE)], ids=["small", "large"])
@pytest.mark.parametrize(
    ("header", "start", "stop"),
    [("bytes=0-9", 0, 10), ("bytes=10-", 10, None), ("bytes=-7", -7, None), ("bytes=5-99999999", 5, None)],
)
def test_one_range_is_answered_with_206(
    root: httpx2.Client, version_url: str, size: int, header: str, start: int, stop: int | None
) -> None:
    content = LARGE[:size]
    root.put(f"{version_url}/f", content=content)
    got = root.get(f"{version_url}/f", headers={"Range": header})
    first, beyond, _ = slice(start, stop).indices(size)
    assert got.status_code == 206
    assert got.content == content[start:stop]
    assert got.headers["content-range"] == f"bytes {first}-{beyond - 1}/{size}"


@pytest.mark.parametrize("size", [1000, len(LARGE)], ids=["small", "large"])
def test_several_ranges_come_as_multipart(root: httpx2.Client, version_url: str, size: int) -> None:
    content = LARGE[:size]
    root.put(f"{version_url}/f", content=content)
    got = root.get(f"{version_url}/f", headers={"Range": "bytes=0-9, 500-509, -5"})
    assert got.status_code == 206
    assert got.headers["content-type"].startswith("multipart/byteranges; boundary=")
    assert int(got.headers["content-length"]) == len(got.content)
    for part in (content[:10], content[500:510], content[-5:]):
        assert part in got.content


def test_a_range_beyond_the_file_is_416_with_its_size(root: httpx2.Client, version_url: str) -> None:
    root.put(f"{version_url}/f", content=b"0123456789")
    got = root.get(f"{version_url}/f", headers={"Range": "bytes=10-"})
    assert (got.status_code, got.json()) == (416, {"message": "416 Range Not Satisfiable"})
    assert got.headers["content-range"] == "bytes */10"


def test_if_range_with_another_etag_gives_the_whole_file(root: httpx2.Client, version_url: str) -> None:
    root.put(f"{version_url}/f", content=b"0123456789")
    got = root.get(f"{version_url}/f", headers={"Range": "bytes=0-1", "If-Range": '"other"'})
    assert (got.status_code, got.content) == (200, b"0123456789")


def test_a_known_etag_is_answered_with_304(root: httpx2.Client, version_url: str) -> None:
    created = root.put(f"{version_url}/f", content=b"content")
    got = root.get(f"{version_url}/f", headers={"If-None-Match": created.headers["etag"]})
    assert (got.status_code, got.content) == (304, b"")
    assert got.headers["etag"] == created.headers["etag"]


def test_a_failed_precondition_is_412(root: httpx2.Client, version_url: str) -> None:
    root.put(f"{version_url}/f", content=b"content")
    got = root.get(f"{version_url}/f", headers={"If-Match": '"other"'})
    assert (got.status_code, got.json()) == (412, {"message": "412 Precondition Failed"})


def test_authorize_tells_what_the_upload_will_find(root: httpx2.Client, server: LiveServer, version_url: str) -> None:
    answer = root.put(f"{version_url}/dir/f.bin/authorize", params={"size": 10})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "MaximumSize": server.settings.max_file_size,
        "UploadHashFunctions": ["sha256"],
        "Method": "PUT",
        "URL": f"{server.api}{version_url}/dir/f.bin",
        "Exists": None,
    }
    root.put(f"{version_url}/dir/f.bin", content=b"content")
    exists = root.put(f"{version_url}/dir/f.bin/authorize", json={"sha256": "0" * 64}).json()["Exists"]
    assert exists == {"SHA256": sha256(b"content"), "Size": 7}


@pytest.mark.parametrize("body", [{"size": -1}, {"size": "many"}, {"sha256": "abc"}])
def test_authorize_refuses_claims_that_make_no_sense(
    root: httpx2.Client, version_url: str, body: dict[str, Any]
) -> None:
    answer = root.put(f"{version_url}/f/authorize", json=body)
    assert (answer.status_code, answer.json()) == (400, {"error": f"{next(iter(body))} is invalid"})


def test_authorize_refuses_a_size_over_the_limit_as_the_upload_would(
    root: httpx2.Client, server: LiveServer, version_url: str
) -> None:
    answer = root.put(f"{version_url}/f/authorize", params={"size": server.settings.max_file_size + 1})
    assert answer.status_code == 400
    assert answer.json() == {"message": "400 Bad request - Artifact file is too large"}


def test_authorize_holds_preconditions(root: httpx2.Client, version_url: str) -> None:
    root.put(f"{version_url}/f", content=b"content")
    assert root.put(f"{version_url}/f/authorize", headers={"If-None-Match": "*"}).status_code == 412


def test_the_suffix_authorize_belongs_to_the_file_before_it(root: httpx2.Client, version_url: str) -> None:
    assert root.put(f"{version_url}/authorize", content=b"a file of that name").status_code == 201
    assert root.get(f"{version_url}/authorize").content == b"a file of that name"
    assert root.put(f"{version_url}/dir/authorize").json()["URL"].endswith("/files/dir")
    assert root.get(f"{version_url}/dir/authorize").status_code == 404


def test_other_bytes_under_a_name_are_served_from_then_on(root: httpx2.Client, version_url: str) -> None:
    for content in (b"one", b"two"):
        assert root.put(f"{version_url}/f", content=content).status_code == 201
        assert root.get(f"{version_url}/f").content == content


def test_the_same_bytes_again_change_nothing(
    root: httpx2.Client, make_project: Callable[..., dict[str, Any]], make_version: Callable[..., int]
) -> None:
    project = make_project()["id"]
    url = f"/projects/{project}/packages/ml_models/{make_version(project)}/files/f"
    first = root.put(url, content=b"same")
    again = root.put(url, content=b"same")
    assert (again.status_code, again.headers["last-modified"]) == (201, first.headers["last-modified"])
    package = root.get(f"/projects/{project}/packages").json()[0]["id"]
    assert len(root.get(f"/projects/{project}/packages/{package}/package_files").json()) == 1


def test_if_none_match_star_refuses_to_replace(
    put: Callable[..., httpx2.Response], root: httpx2.Client, version_url: str
) -> None:
    assert put(f"{version_url}/f", b"one", **{"If-None-Match": "*"}).status_code == 201
    refused = put(f"{version_url}/f", b"two", **{"If-None-Match": "*"})
    assert (refused.status_code, refused.json()) == (412, {"message": "412 Precondition Failed"})
    assert root.get(f"{version_url}/f").content == b"one"


def test_if_match_replaces_only_what_the_client_saw(root: httpx2.Client, version_url: str) -> None:
    etag = root.put(f"{version_url}/f", content=b"one").headers["etag"]
    assert root.put(f"{version_url}/f", content=b"two", headers={"If-Match": etag}).status_code == 201
    assert root.put(f"{version_url}/f", content=b"three", headers={"If-Match": etag}).status_code == 412


@pytest.mark.parametrize("field", ["Repr-Digest", "Content-Digest"])
@pytest.mark.parametrize("algorithm", ["sha-256", "sha-512"])
def test_digests_are_verified(
    put: Callable[..., httpx2.Response],
    root: httpx2.Client,
    server: LiveServer,
    version_url: str,
    field: str,
    algorithm: str,
) -> None:
    refused = put(f"{version_url}/f", LARGE, **{field: repr_digest(b"other", algorithm)})
    assert refused.status_code == 400
    assert refused.json() == {"message": "400 Bad request - The content does not match its digest"}
    assert root.get(f"{version_url}/f").status_code == 404
    assert server.incoming() == []
    assert put(f"{version_url}/f", LARGE, **{field: repr_digest(LARGE, algorithm)}).status_code == 201


def test_content_digest_may_cover_the_whole_form(root: httpx2.Client, version_url: str) -> None:
    request = root.build_request("PUT", f"{version_url}/f", files={"file": b"content"})
    request.headers["Content-Digest"] = repr_digest(request.read())
    assert root.send(request).status_code == 201


@pytest.mark.parametrize("value", ["sha-256=abc", "sha-256=:AAAA:", "=="])
def test_a_digest_that_cannot_be_read_is_refused(root: httpx2.Client, version_url: str, value: str) -> None:
    assert root.put(f"{version_url}/f", content=b"x", headers={"Repr-Digest": value}).status_code == 400


def test_a_part_of_a_file_is_not_taken_for_the_whole(root: httpx2.Client, version_url: str) -> None:
    refused = root.put(f"{version_url}/f", content=b"x", headers={"Content-Range": "bytes 0-0/10"})
    assert refused.status_code == 400
    assert refused.json() == {"message": "400 Bad request - Content-Range is not supported in an upload"}


@pytest.mark.parametrize(
    "name",
    ["~*();&|?#+.bin", "100% sure", "模型/ünï.bin", "👩‍🔬", "dir with space/file", "a,b;c=d@e:f!$'", '"quoted".txt'],
)
def test_odd_names_come_back_byte_for_byte(root: httpx2.Client, version_url: str, name: str) -> None:
    url = f"{version_url}/{quote(name)}"
    assert root.put(url, content=name.encode()).status_code == 201
    got = root.get(url)
    assert got.content == name.encode()
    last = quote(name.rpartition("/")[2], safe="!#$&+-.^_`|~")
    assert got.headers["content-disposition"].endswith(f"filename*=UTF-8''{last}")


@pytest.mark.parametrize(
    "names",
    [("模型.bin", "数据.bin"), ("é", "è"), ('a"b', "a_b"), ("100%.csv", "100_.csv"), ("日本.tgz", "東京.tgz")],
)
def test_curl_saves_two_names_as_two_files(
    server: LiveServer, root: httpx2.Client, version_url: str, tmp_path: Path, names: tuple[str, str]
) -> None:
    for name in names:
        path = f"{version_url}/{quote(name)}"
        assert root.put(path, content=name.encode()).status_code == 201
        token = ("--header", f"Authorization: Bearer {server.root_token}")
        assert curl(tmp_path, *token, "--remote-name", "--remote-header-name", server.api + path)[0] == 200
    saved = list(tmp_path.iterdir())
    assert sorted(file.read_bytes() for file in saved) == sorted(name.encode() for name in names)
    assert {file.suffix for file in saved} == {Path(name).suffix for name in names}


def test_a_project_is_found_by_its_encoded_path_whatever_the_case(
    root: httpx2.Client, make_project: Callable[..., dict[str, Any]], make_version: Callable[..., int]
) -> None:
    project = make_project(namespace_path="My-Group", path="My-Project")
    version = make_version(project["id"])
    for path in ("My-Group%2FMy-Project", "my-group%2fmy-project"):
        url = f"/projects/{path}/packages/ml_models/{version}/files/f"
        assert root.put(url, content=path.encode()).status_code == 201
        assert root.get(f"/projects/{project['id']}/packages/ml_models/{version}/files/f").content == path.encode()


def test_candidates_have_files_of_their_own(
    root: httpx2.Client, make_project: Callable[..., dict[str, Any]], make_run: Callable[..., dict[str, Any]]
) -> None:
    project = make_project()["id"]
    run = make_run(project)
    url = f"/projects/{project}/packages/ml_models/candidate:{run['iid']}/files/dir/f"
    assert root.get(url).json() == {"message": "404 Not found"}
    assert root.get(f"/projects/{project}/packages").json() == []  # reading made no package
    assert root.put(url, content=b"content").status_code == 201
    assert root.get(url.replace(":", "%3A")).content == b"content"
    package = root.get(f"/projects/{project}/packages").json()[0]
    assert (package["name"], package["version"]) == ("ml_experiment_0", f"candidate_{run['iid']}")


def test_a_promoted_candidate_keeps_its_files_under_both_ids(
    root: httpx2.Client,
    make_project: Callable[..., dict[str, Any]],
    make_run: Callable[..., dict[str, Any]],
    make_version: Callable[..., int],
) -> None:
    project = make_project()["id"]
    run = make_run(project)
    files = f"/projects/{project}/packages/ml_models"
    root.put(f"{files}/candidate:{run['iid']}/files/before", content=b"before")
    version = make_version(project, "m", run_id=run["run_id"])
    root.put(f"{files}/{version}/files/after", content=b"after")
    for owner in (version, f"candidate:{run['iid']}"):
        assert root.get(f"{files}/{owner}/files/before").content == b"before"
        assert root.get(f"{files}/{owner}/files/after").content == b"after"
    packages = root.get(f"/projects/{project}/packages").json()
    assert [(p["name"], p["version"]) for p in packages] == [("m", "1.0.0")]


def test_a_versions_own_candidate_shares_its_files(
    root: httpx2.Client, make_project: Callable[..., dict[str, Any]], make_version: Callable[..., int]
) -> None:
    project = make_project()["id"]
    files = f"/projects/{project}/packages/ml_models"
    version = make_version(project)
    root.put(f"{files}/candidate:1/files/f", content=b"content")
    assert root.get(f"{files}/{version}/files/f").content == b"content"


def test_an_upload_after_the_package_was_deleted_makes_it_anew(
    root: httpx2.Client, make_project: Callable[..., dict[str, Any]], make_version: Callable[..., int]
) -> None:
    project = make_project()["id"]
    version = make_version(project)
    files = f"/projects/{project}/packages/ml_models"
    for owner in (version, "candidate:1"):
        package = root.get(f"/projects/{project}/packages").json()[0]["id"]
        assert root.delete(f"/projects/{project}/packages/{package}").status_code == 204
        assert root.get(f"{files}/{version}/files/f").status_code == 404
        assert root.put(f"{files}/{owner}/files/f", content=b"content").status_code == 201
        assert root.get(f"{files}/{version}/files/f").content == b"content"


def test_status_hides_a_package_from_listings_but_not_from_downloads(
    root: httpx2.Client, make_project: Callable[..., dict[str, Any]], make_version: Callable[..., int]
) -> None:
    project = make_project()["id"]
    url = f"/projects/{project}/packages/ml_models/{make_version(project)}/files/f"
    assert root.put(url, params={"status": "hidden"}, content=b"content").status_code == 201
    assert root.get(f"/projects/{project}/packages").json() == []
    assert len(root.get(f"/projects/{project}/packages", params={"status": "hidden"}).json()) == 1
    assert root.get(url).content == b"content"


def test_an_unknown_status_is_refused(root: httpx2.Client, version_url: str) -> None:
    refused = root.put(f"{version_url}/f", params={"status": "secret"}, content=b"x")
    assert (refused.status_code, refused.json()) == (400, {"error": "status does not have a valid value"})
