"""Clients that wait for a challenge before they send a password: wget, curl and urllib, as they come; and browsers."""

from __future__ import annotations

import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.live import LiveServer
from tests.programs import curl, run

CONTENT = bytes(range(256)) * 1000
OCTETS = {"Content-Type": "application/octet-stream"}
BEARER, BASIC = 'Bearer realm="modelyard"', 'Basic realm="modelyard", charset="UTF-8"'


@pytest.fixture
def artifact_url(
    server: LiveServer,
    root: httpx2.Client,
    make_project: Callable[..., dict[str, Any]],
    make_run: Callable[..., dict[str, Any]],
) -> str:
    """A file of a run in a private project, on MLflow's side, which is nothing for strangers."""
    project = make_project()["id"]
    path = f"/projects/{project}/ml/mlflow/api/2.0/mlflow-artifacts/artifacts/candidate:{make_run(project)['iid']}/f"
    assert root.put(path, content=CONTENT).status_code == 200
    return server.api + path


def test_wget_gets_a_file_with_a_token_as_password(server: LiveServer, artifact_url: str, tmp_path: Path) -> None:
    options = ("--quiet", "--user=any", f"--password={server.root_token}", "--tries=1")
    assert run(tmp_path, "wget", *options, "--output-document=got", artifact_url).returncode == 0
    assert (tmp_path / "got").read_bytes() == CONTENT
    assert run(tmp_path, "wget", "--quiet", "--user=any", "--password=wrong", "--tries=1", artifact_url).returncode == 6


def test_wget_uploads_a_file_with_a_token_as_password(
    server: LiveServer, root: httpx2.Client, version_url: str, tmp_path: Path
) -> None:
    (tmp_path / "x").write_bytes(CONTENT)
    options = ("--quiet", "--user=any", f"--password={server.root_token}", "--tries=1", "--method=PUT", "--body-file=x")
    assert run(tmp_path, "wget", *options, f"{server.api}{version_url}/f").returncode == 0
    assert root.get(f"{version_url}/f").content == CONTENT


@pytest.mark.parametrize("way", ["--anyauth", "--basic"])
def test_curl_goes_both_ways_with_a_token_as_password(
    server: LiveServer, root: httpx2.Client, version_url: str, artifact_url: str, tmp_path: Path, way: str
) -> None:
    (tmp_path / "x").write_bytes(CONTENT)
    user = ("--user", f"any:{server.root_token}")
    assert curl(tmp_path, way, *user, "--upload-file", "x", f"{server.api}{version_url}/f")[0] == 201
    assert root.get(f"{version_url}/f").content == CONTENT
    form = ("--request", "PUT", "--form", "file=@x")
    assert curl(tmp_path, way, *user, *form, f"{server.api}{version_url}/g")[0] == 201
    assert root.get(f"{version_url}/g").content == CONTENT
    assert curl(tmp_path, way, *user, "--output", "got", artifact_url)[0] == 200
    assert (tmp_path / "got").read_bytes() == CONTENT
    assert curl(tmp_path, way, "--user", "any:wrong", artifact_url)[0] == 401


@pytest.mark.parametrize(
    "handlers",
    [
        (urllib.request.HTTPBasicAuthHandler,),
        (urllib.request.HTTPBasicAuthHandler, urllib.request.HTTPDigestAuthHandler),  # as Ansible has them
    ],
    ids=["basic", "basic and digest"],
)
def test_urllib_goes_both_ways_with_a_token_as_password(
    server: LiveServer,
    root: httpx2.Client,
    version_url: str,
    artifact_url: str,
    handlers: tuple[Callable[..., Any], ...],
) -> None:
    passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    passwords.add_password(None, server.url, "any", server.root_token)
    opener = urllib.request.build_opener(*(handler(passwords) for handler in handlers))
    with opener.open(artifact_url, timeout=20) as answer:
        assert answer.read() == CONTENT
    for name, times in (("short", 1), ("long", 50)):  # the challenge comes while the body is sent
        upload = urllib.request.Request(f"{server.api}{version_url}/{name}", CONTENT * times, OCTETS, method="PUT")
        with opener.open(upload, timeout=20) as answer:
            assert answer.status == 201
        assert root.get(f"{version_url}/{name}").content == CONTENT * times


BROWSERS: dict[str, dict[str, str]] = {
    "navigation": {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"},
    "fetch": {"User-Agent": "other", "Sec-Fetch-Mode": "cors"},
    "image": {"User-Agent": "other", "Sec-Fetch-Dest": "image", "Sec-Fetch-Site": "same-origin"},
    "script": {"X-Requested-With": "XMLHttpRequest"},
    "other site": {"Origin": "https://example.com"},
    "terminal": {"User-Agent": "Lynx/2.9.0", "Accept": "text/html, text/plain, */*;q=0.01"},
}


@pytest.mark.parametrize("headers", BROWSERS.values(), ids=BROWSERS)
@pytest.mark.parametrize("credential", [{}, {"PRIVATE-TOKEN": "wrong"}])
def test_a_browser_is_not_made_to_ask_for_a_password(
    anonymous: httpx2.Client, version_url: str, headers: dict[str, str], credential: dict[str, str]
) -> None:
    refused = anonymous.put(f"{version_url}/f", content=b"x", headers=headers | credential)
    assert (refused.status_code, refused.headers.get_list("www-authenticate")) == (401, [BEARER])


@pytest.mark.parametrize("agent", ["curl/8.5.0", "Wget/1.21.4", "git/2.39.5", "Python-urllib/3.11", ""])
def test_other_clients_are_offered_both(
    anonymous: httpx2.Client, version_url: str, artifact_url: str, agent: str
) -> None:
    headers = {"User-Agent": agent, "Accept": "*/*"}
    for answer in (
        anonymous.put(f"{version_url}/f", content=b"x", headers=headers),
        anonymous.put(f"{version_url}/f/authorize", headers=headers),
        anonymous.get("/user", headers=headers),
        anonymous.get(artifact_url, headers=headers),
        anonymous.head(artifact_url, headers=headers),
        anonymous.get("/user", headers=headers | {"Authorization": "Basic eDp5"}),
    ):
        assert (answer.status_code, answer.headers.get_list("www-authenticate")) == (401, [BASIC, BEARER])


def test_a_token_that_was_revoked_is_challenged_both_ways(
    root: httpx2.Client, make_user: Callable[..., Any], make_token: Callable[..., dict[str, Any]]
) -> None:
    token = make_token(make_user().id)
    assert root.delete(f"/personal_access_tokens/{token['id']}").status_code == 204
    refused = root.get("/user", headers={"PRIVATE-TOKEN": token["token"]})
    basic, bearer = refused.headers.get_list("www-authenticate")
    assert 'error="invalid_token"' in bearer
    assert basic == BASIC
