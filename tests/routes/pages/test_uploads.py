"""Uploads in a browser: a form without a script, and with one many files at once, each with its own fate."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Dialog, FilePayload

from tests.browsers import axe
from tests.conftest import Account
from tests.live import LiveServer
from tests.routes.pages.conftest import Open, SignIn
from tests.routes.pages.yard import Yard

ODD = "50% of #1 'a?\"b&<i>+;=ü🙂.bin"


@pytest.fixture
def owner(yard: Yard) -> Account:
    return yard.owner


@pytest.fixture
def project(yard: Yard) -> dict[str, Any]:
    return {"id": yard.id, "path_with_namespace": yard.path}


@pytest.fixture
def page_of(yard: Yard) -> tuple[str, str]:
    """The path of a fresh version's page, and of its files in the API."""
    model, version = yard.model("churn"), yard.version("churn")
    return yard.shown(model, version), f"/projects/{yard.id}/packages/ml_models/{version}/files"


def test_a_form_without_a_script_stores_a_file_and_leads_to_its_folder(
    sign_in: SignIn, owner: Account, page_of: tuple[str, str]
) -> None:
    root, files = page_of
    browser = sign_in(owner.token)
    form = browser.get(f"{root}/upload?folder=weights")
    assert 'enctype="multipart/form-data"' in form.text
    assert 'value="weights"' in form.text
    content = b"weights" * 300_000
    sent = browser.post(f"{root}/upload", data={"folder": "/weights/fp16/"}, files={"file": ("a b.bin", content)})
    assert (sent.status_code, sent.headers["location"]) == (303, f"{root}/tree/weights/fp16")
    assert "weights/fp16/a b.bin has been uploaded" in browser.get(sent.headers["location"]).text
    assert owner.client.get(f"{files}/weights/fp16/a%20b.bin").content == content


@pytest.mark.parametrize("name", [ODD, "x" * 255, "שלום.bin", ".hidden"])
def test_forms_and_checks_take_any_name_that_the_api_takes(
    sign_in: SignIn, owner: Account, page_of: tuple[str, str], name: str
) -> None:
    root, _files = page_of
    browser = sign_in(owner.token)
    # As browsers write it (HTML, "multipart form data"), which httpx2 does too.
    sent = browser.post(f"{root}/upload", files={"file": (name, b"1")})
    assert sent.status_code == 303, sent.text
    told = browser.get(f"{root}/upload/check", params={"name": name, "size": 1}).json()
    assert told["exists"] == {"sha256": hashlib.sha256(b"1").hexdigest(), "size": 1}
    assert owner.client.get(told["url"].removeprefix("/api/v4")).content == b"1"
    assert browser.put(told["url"], content=b"22", headers={"If-None-Match": "*"}).status_code == 412
    assert browser.put(told["url"], content=b"22").status_code == 201


def test_a_taken_name_is_told_and_replaced_only_on_demand(
    sign_in: SignIn, owner: Account, page_of: tuple[str, str]
) -> None:
    root, files = page_of
    browser = sign_in(owner.token)
    owner.client.put(f"{files}/a.txt", content=b"old")
    taken = browser.post(f"{root}/upload", data={"folder": ""}, files={"file": ("a.txt", b"new")})
    assert (taken.status_code, "A file of that name is there already" in taken.text) == (409, True)
    assert taken.headers["x-request-id"]
    assert owner.client.get(f"{files}/a.txt").content == b"old"
    assert browser.post(f"{root}/upload", data={"replace": "1"}, files={"file": ("a.txt", b"new")}).status_code == 303
    assert owner.client.get(f"{files}/a.txt").content == b"new"


@pytest.mark.parametrize(
    ("data", "files", "status", "sentence"),
    [
        ({"folder": "weights"}, {"file": ("", b"")}, 400, "Choose a file first"),
        ({"folder": "a//b"}, {"file": ("x", b"1")}, 400, "Path is invalid"),
        ({"folder": "../up"}, {"file": ("x", b"1")}, 400, "Path should be a valid file path"),
        ({"folder": "w"}, {"file": ("..", b"1")}, 400, "File_name should be a valid file path"),
        ({"folder": "w"}, {"other": ("x", b"1")}, 400, "File is missing"),
        ({"folder": "f" * 70_000}, {"file": ("x", b"1")}, 400, "malformed"),
    ],
)
def test_a_form_that_cannot_be_taken_is_shown_again_with_what_was_typed(
    sign_in: SignIn,
    owner: Account,
    page_of: tuple[str, str],
    data: dict[str, str],
    files: dict[str, tuple[str, bytes]],
    status: int,
    sentence: str,
) -> None:
    root, api = page_of
    browser = sign_in(owner.token)
    answer = browser.post(f"{root}/upload", data=data, files=files)
    assert (answer.status_code, sentence.lower() in answer.text.lower()) == (status, True), answer.text[-2000:]
    if len(data["folder"]) < 100 and "other" not in files:
        assert f'value="{data["folder"]}"' in answer.text
    assert owner.client.get(f"{api}/x").status_code == 404


def test_bodies_that_are_no_form_or_end_early_store_nothing(
    sign_in: SignIn, owner: Account, page_of: tuple[str, str]
) -> None:
    root, _files = page_of
    browser = sign_in(owner.token)
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
    kinds = {"Content-Type": "multipart/form-data; boundary=b"}
    for content, headers in (
        (b"a=b", {"Content-Type": "application/x-www-form-urlencoded"}),
        (b"", kinds),
        (b"--b--\r\n", kinds),
        (head + b"abc", kinds),
        (head[:40], kinds),
        (head + b"abc\r\n--b--", kinds | {"Content-Encoding": "gzip"}),
    ):
        answer = browser.post(f"{root}/upload", content=content, headers=headers)
        assert answer.status_code in (400, 415), content
        assert "Upload files to churn" in answer.text
    assert browser.get(f"{root}/upload/check?name=x&size=1").json()["exists"] is None


def test_what_would_be_refused_is_told_before_the_first_byte(
    sign_in: SignIn,
    server: LiveServer,
    owner: Account,
    project: dict[str, Any],
    page_of: tuple[str, str],
    root: httpx2.Client,
    make_user: Callable[..., Account],
) -> None:
    path, _files = page_of
    browser = sign_in(owner.token)
    as_script = {"Accept": "application/json"}

    def check(client: httpx2.Client, size: int, name: str = "x") -> httpx2.Response:
        return client.get(f"{path}/upload/check", params={"name": name, "size": size}, headers=as_script)

    limit = server.settings.max_file_size
    assert check(browser, limit).status_code == 200
    assert check(browser, limit).headers["cache-control"] == "no-store"
    assert (check(browser, limit + 1).status_code, "too large" in check(browser, limit + 1).text) == (400, True)
    assert check(browser, 10**30).status_code in (200, 400)
    assert check(browser, 1, "../x").json() == {"error": "path should be a valid file path"}
    assert root.put(f"/projects/{project['id']}", json={"storage_limit": 1000}).status_code == 200
    assert (check(browser, 1001).status_code, "storage limit" in check(browser, 1001).text) == (403, True)
    form = browser.post(f"{path}/upload", files={"file": ("x", b"1" * 1001)})
    assert (form.status_code, "storage limit" in form.text) == (403, True)
    reporter, stranger = make_user(), make_user()
    owner.client.post(f"/projects/{project['id']}/members", json={"user_id": reporter.id, "access_level": 20})
    for other, status in ((reporter, 403), (stranger, 404)):
        client = sign_in(other.token)
        assert check(client, 1).status_code == status
        assert client.get(f"{path}/upload").status_code == status
        refused = client.post(f"{path}/upload", files={"file": ("x", b"1")})
        assert (refused.status_code, refused.headers["x-request-id"] in refused.text) == (status, True)
    assert ("upload" in sign_in(reporter.token).get(f"{path}/tree").text) is False
    assert f"{path}/upload" in browser.get(f"{path}/tree").text


def test_nobody_uploads_from_elsewhere_or_without_a_session(
    visitor: httpx2.Client, sign_in: SignIn, owner: Account, page_of: tuple[str, str]
) -> None:
    root, files = page_of
    assert visitor.get(f"{root}/upload").headers["location"].startswith("/users/sign_in?return_to=")
    assert visitor.post(f"{root}/upload", files={"file": ("x", b"1")}).status_code == 401
    assert visitor.get(f"{root}/upload/check?name=x&size=1", headers={"Accept": "*/*"}).status_code == 401
    browser = sign_in(owner.token)
    cross = {"Sec-Fetch-Site": "cross-site"}
    assert browser.post(f"{root}/upload", files={"file": ("x", b"1")}, headers=cross).status_code == 403
    assert browser.put(f"/api/v4{files}/x", content=b"1", headers=cross).status_code == 403
    assert owner.client.get(f"{files}/x").status_code == 404


def test_pages_of_other_versions_models_and_projects_are_not_there(
    sign_in: SignIn, owner: Account, page_of: tuple[str, str], make_project: Callable[..., dict[str, Any]]
) -> None:
    root, _files = page_of
    browser = sign_in(owner.token)
    other = make_project(owner)["path_with_namespace"]
    model, version = root.split("/models/")[1].split("/versions/")
    for path in (
        f"/{other}/-/ml/models/{model}/versions/{version}",
        root.replace(f"/models/{model}/", "/models/999999999/"),
        root + "999999",
    ):
        for rest in ("/upload", "/upload/check?name=x&size=1", "/archive.zip", "/raw/x"):
            assert browser.get(path + rest).status_code == 404, path + rest


def test_runs_take_files_in_the_same_way(
    sign_in: SignIn, server: LiveServer, make_project: Callable[..., dict[str, Any]], make_run: Callable[..., Any]
) -> None:
    project = make_project()
    iid = make_run(project["id"])["iid"]
    root = f"/{project['path_with_namespace']}/-/ml/candidates/{iid}"
    browser = sign_in(server.root_token)
    assert f"Upload files to Run {iid}" in browser.get(f"{root}/upload").text
    sent = browser.post(f"{root}/upload", data={"folder": "model"}, files={"file": ("MLmodel", b"flavors: {}\n")})
    assert (sent.status_code, sent.headers["location"]) == (303, f"{root}?tab=files")
    told = browser.get(f"{root}/upload/check", params={"name": "model/MLmodel", "size": 0}).json()
    assert browser.get(told["url"]).content == b"flavors: {}\n"
    assert browser.get(f"{root}/raw/model/MLmodel").text == "flavors: {}\n"
    assert browser.get(f"{root}/archive.zip").headers["content-type"] == "application/zip"
    listed = browser.get(f"{root}?tab=files&path=model").text
    for page in ("upload", "archive.zip"):
        (link,) = re.findall(rf'href="([^"]+/{page}\?folder=model)"', listed)
        assert browser.get(link).status_code == 200, page


def test_a_browser_sends_files_and_folders_and_tells_the_fate_of_each(
    browse: Open, sign_in: SignIn, owner: Account, page_of: tuple[str, str], tmp_path: Path
) -> None:
    root, files = page_of
    session = sign_in(owner.token).cookies["modelyard_session"]
    owner.client.put(f"{files}/taken.txt", content=b"old")
    folder = tmp_path / "weights"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "x.bin").write_bytes(b"x" * 100_000)
    (folder / "y #1.bin").write_bytes(b"y")
    with browse() as watched:
        watched.context.add_cookies([{"name": "modelyard_session", "value": session, "url": watched.origin}])
        page = watched.page()
        page.goto(f"{root}/upload")
        assert axe(page) == []
        assert page.get_by_role("button", name="Upload file").count() == 0
        chosen: list[FilePayload] = [
            {"name": "taken.txt", "mimeType": "text/plain", "buffer": b"new"},
            {"name": "large.bin", "mimeType": "", "buffer": b"1" * (3 * 1024 * 1024)},
        ]
        page.get_by_label("File", exact=True).set_input_files(chosen)
        page.get_by_label("Folder to upload").set_input_files(folder)
        rows = page.locator(".uploads li")
        rows.filter(has_text="weights/deep/x.bin").get_by_text("uploaded").wait_for()
        rows.filter(has_text="weights/y #1.bin").get_by_text("uploaded").wait_for()
        rows.filter(has_text="large.bin").get_by_text("uploaded").wait_for()
        taken = rows.filter(has_text="taken.txt")
        taken.get_by_text("A file of that name is there already (3 B).").wait_for()
        assert page.get_by_role("status").inner_text().startswith("3 uploaded, 1 need your attention")
        assert axe(page) == []
        # In a second tab, at once: the name is taken there too, and each decides for itself.
        watched.expected = ("status of 412", "status of 400", "Failed to load resource", "ERR_INTERNET_DISCONNECTED")
        second = watched.page()
        second.goto(f"{root}/upload")
        second.get_by_label("File", exact=True).set_input_files(
            {"name": "taken.txt", "mimeType": "", "buffer": b"second"}
        )
        second.get_by_role("button", name="Replace taken.txt").click()
        second.locator(".uploads li").get_by_text("uploaded").wait_for()
        taken.get_by_role("button", name="Replace taken.txt").click()
        taken.get_by_text("uploaded").wait_for()
        # A file that is too large is told before its first byte, and one that finds no line is sent once there is one.
        page.get_by_label("Folder", exact=True).fill("../up")
        page.get_by_label("File", exact=True).set_input_files({"name": "bad", "mimeType": "", "buffer": b"1"})
        rows.last.get_by_text("path should be a valid file path").wait_for()
        page.get_by_label("Folder", exact=True).fill("")
        watched.context.set_offline(True)
        page.get_by_label("File", exact=True).set_input_files({"name": "late.txt", "mimeType": "", "buffer": b"late"})
        rows.last.get_by_text("The connection was lost.").wait_for()
        watched.context.set_offline(False)
        rows.last.get_by_text("uploaded").wait_for()
        # Dropped files arrive as chosen ones do.
        page.evaluate(
            """() => {
                const data = new DataTransfer();
                data.items.add(new File(["dropped"], "dropped.txt"));
                const event = new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
                document.querySelector("upload-zone").dispatchEvent(event);
            }"""
        )
        rows.filter(has_text="dropped.txt").get_by_text("uploaded").wait_for()
        page.get_by_role("link", name="Show the files").click()
        page.get_by_role("link", name="weights/").wait_for()
    for name, content in (
        ("taken.txt", b"new"),
        ("weights/deep/x.bin", b"x" * 100_000),
        ("weights/y%20%231.bin", b"y"),
        ("late.txt", b"late"),
        ("dropped.txt", b"dropped"),
    ):
        assert owner.client.get(f"{files}/{name}").content == content


def test_an_upload_can_be_cancelled_and_leaving_meanwhile_warns(
    browse: Open, sign_in: SignIn, owner: Account, page_of: tuple[str, str]
) -> None:
    root, files = page_of
    session = sign_in(owner.token).cookies["modelyard_session"]
    with browse() as watched:
        watched.context.add_cookies([{"name": "modelyard_session", "value": session, "url": watched.origin}])
        page = watched.page()
        page.goto(f"{root}/upload")
        page.route("**/api/v4/**", lambda _route: None)  # which hangs
        page.get_by_label("File", exact=True).set_input_files({"name": "slow.bin", "mimeType": "", "buffer": b"1" * 99})
        page.locator(".uploads li").get_by_role("button", name="Cancel slow.bin").wait_for()
        asked: list[str] = []

        def stay(dialog: Dialog) -> None:
            asked.append(dialog.type)
            dialog.dismiss()

        page.on("dialog", stay)
        page.mouse.click(5, 5)
        page.evaluate("location.reload()")
        page.wait_for_timeout(500)
        assert asked == ["beforeunload"]
        page.get_by_role("button", name="Cancel slow.bin").click()
        page.locator(".uploads li").get_by_text("cancelled").wait_for()
        page.unroute("**/api/v4/**")
        page.get_by_role("button", name="Retry slow.bin").click()
        page.locator(".uploads li").get_by_text("uploaded").wait_for()
        page.reload()
        assert asked == ["beforeunload"]
    assert owner.client.get(f"{files}/slow.bin").content == b"1" * 99


def test_what_has_been_sent_is_shown_and_how_fast(
    browse: Open, sign_in: SignIn, owner: Account, page_of: tuple[str, str]
) -> None:
    root, _files = page_of
    session = sign_in(owner.token).cookies["modelyard_session"]
    with browse() as watched:
        watched.context.add_cookies([{"name": "modelyard_session", "value": session, "url": watched.origin}])
        page = watched.page()
        page.goto(f"{root}/upload")
        slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 200_000}
        watched.context.new_cdp_session(page).send("Network.emulateNetworkConditions", slow)
        big: FilePayload = {"name": "big.bin", "mimeType": "", "buffer": b"1" * 2_000_000}
        page.get_by_label("File", exact=True).set_input_files(big)
        page.locator(".uploads li").get_by_text(re.compile(r"^[\d.]+ .?i?B · [\d.]+ .?i?B/s$")).wait_for()
        page.get_by_role("button", name="Cancel big.bin").click()
        page.locator(".uploads li").get_by_text("cancelled").wait_for()


def test_the_form_works_in_a_browser_without_scripts(
    browse: Open, sign_in: SignIn, owner: Account, page_of: tuple[str, str]
) -> None:
    root, files = page_of
    session = sign_in(owner.token).cookies["modelyard_session"]
    with browse(java_script_enabled=False) as watched:
        watched.context.add_cookies([{"name": "modelyard_session", "value": session, "url": watched.origin}])
        page = watched.page()
        page.goto(f"{root}/upload")
        page.get_by_label("Folder").fill("ключ")
        page.get_by_label("File", exact=True).set_input_files({"name": ODD, "mimeType": "", "buffer": b"odd"})
        page.get_by_role("button", name="Upload file").click()
        assert page.get_by_role("status").inner_text() == f"ключ/{ODD} has been uploaded"
        page.get_by_role("link", name=ODD, exact=True).click()
        assert page.get_by_role("heading", name=ODD).count() == 1
    listed = owner.client.get(f"{files.partition('/ml_models')[0]}").json()
    assert listed
