"""Uploads of a page that go on: after a pause, a lost line, a reload; in a session, and by no other server's page."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Locator, Page, Route

from tests.browsers import Watched, axe
from tests.live import LiveServer, running
from tests.routes.pages.conftest import AS_BROWSER, Open, SignIn
from tests.routes.pages.yard import Yard
from tests.tus import CHUNK_TYPE, VERSION, create, metadata, offset_of, patch

ROOT = "root"  # the administrator, whose namespace it is
MIB = 1024 * 1024
SIZE = 20 * MIB
SPEED = 8 * MIB  # bytes a second, so that there is a time in which it is under way
KEY = "modelyard upload "
KEPT = f"Object.entries(localStorage).filter(([key]) => key.startsWith('{KEY}'))"


@dataclass(frozen=True)
class Place:
    """A version without files, as pages and as the API name it."""

    page: str
    files: str


@pytest.fixture
def place(yard: Yard) -> Place:
    model, version = yard.model("churn"), yard.version("churn")
    return Place(f"{yard.shown(model, version)}/upload", f"/projects/{yard.id}/packages/ml_models/{version}/files")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "weights.bin"
    path.write_bytes(os.urandom(MIB) * (SIZE // MIB))
    return path


@pytest.fixture
def watched(browse: Open, yard: Yard, server: LiveServer) -> Iterator[Watched]:
    """A browser of the owner's; what a line that is cut says on the console is expected."""
    with browse() as watched:
        watched.expected = ("Failed to load resource",)
        watched.context.add_cookies([yard.cookie(server)])
        yield watched


def opened(watched: Watched, place: Place) -> Page:
    """The form, over a slow line."""
    page = watched.page()
    line = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": SPEED}
    watched.context.new_cdp_session(page).send("Network.emulateNetworkConditions", line)
    page.goto(place.page)
    return page


@pytest.fixture
def page(watched: Watched, place: Place) -> Page:
    return opened(watched, place)


def chosen(page: Page, path: Path) -> Locator:
    """The row of a file that is sent, once some of it has gone."""
    page.get_by_label("File", exact=True).set_input_files(path)
    row = page.locator(".uploads li").filter(has_text=path.name)
    row.get_by_text("/s").wait_for()
    return row


@pytest.fixture
def row(page: Page, weights: Path) -> Locator:
    return chosen(page, weights)


def press(page: Page, what: str) -> None:
    """What can be done to the upload."""
    page.get_by_role("button", name=f"{what} weights.bin").click()


def kept_url(page: Page, server: LiveServer) -> str:
    """Where the upload that the page keeps in mind goes on."""
    ((key, _kept),) = page.evaluate(KEPT)
    return f"{server.url}{key.removeprefix(KEY)}"


def stored(yard: Yard, place: Place, name: str = "weights.bin") -> bytes:
    return yard.api.get(f"{place.files}/{name}").content


def test_an_upload_is_paused_and_goes_on_after_a_reload_where_it_was(
    yard: Yard, place: Place, page: Page, weights: Path
) -> None:
    offsets: list[int] = []
    page.on("request", lambda sent: offsets.append(int(sent.headers.get("upload-offset", 0))))
    row = chosen(page, weights)
    press(page, "Pause")
    row.get_by_text("paused at").wait_for()
    assert page.evaluate("document.activeElement.textContent") == "Resume"
    assert axe(page) == []
    ((_key, kept),) = page.evaluate(KEPT)
    assert "myd_" not in kept
    assert yard.browser.cookies["modelyard_session"] not in kept
    press(page, "Resume")
    row.get_by_text("/s").wait_for()
    press(page, "Pause")
    page.reload()
    row = page.locator(".uploads li").filter(has_text="weights.bin")
    row.get_by_text("Choose the file again to go on.").wait_for()
    assert axe(page) == []
    other = weights.with_name("other.bin")
    other.write_bytes(b"other")
    for path, said in ((other, "other.bin is another file, or has changed since: 5 B."), (weights, "uploaded")):
        with page.expect_file_chooser() as choosing:
            row.get_by_role("button", name="Choose weights.bin").click()
        choosing.value.set_files(path)
        row.get_by_text(said).wait_for()
    assert page.evaluate(KEPT) == []
    assert max(offsets) > 0
    assert stored(yard, place) == weights.read_bytes()


def test_what_was_begun_goes_on_when_the_same_file_is_chosen_in_the_form_again(
    yard: Yard, place: Place, watched: Watched, page: Page, weights: Path
) -> None:
    page.on("dialog", lambda dialog: dialog.accept())
    chosen(page, weights)
    second = opened(watched, place)
    second.locator(".uploads li").get_by_text("Another tab of this browser sends it.").wait_for()
    second.get_by_label("File", exact=True).set_input_files(weights)
    second.locator(".uploads li.failed").get_by_text("Another tab of this browser sends it.").wait_for()
    page.close(run_before_unload=True)
    page.wait_for_event("close") if not page.is_closed() else None
    ((_key, kept),) = second.evaluate(KEPT)
    press(second, "Retry")
    second.locator(".uploads li").get_by_text("uploaded").wait_for()
    assert second.locator(".uploads li").count() == 1
    assert second.evaluate(KEPT) == [], kept
    assert stored(yard, place) == weights.read_bytes()


def test_an_upload_waits_for_a_line_that_was_lost_and_goes_on_by_itself(
    yard: Yard, server: LiveServer, place: Place, page: Page, row: Locator, weights: Path
) -> None:
    url = kept_url(page, server)
    page.route("**/api/v4/uploads/*", lambda route: route.abort())
    # Whoever asks ends the request that is under way, of which the server keeps what has come.
    assert 0 < offset_of(yard.browser, url) < SIZE
    row.get_by_text("The connection was lost. Trying again in").wait_for()
    page.unroute("**/api/v4/uploads/*")
    row.get_by_text("uploaded").wait_for()
    assert stored(yard, place) == weights.read_bytes()


def test_a_cancelled_upload_is_forgotten_here_and_at_the_server(
    yard: Yard, server: LiveServer, place: Place, page: Page, row: Locator
) -> None:
    url = kept_url(page, server)
    with page.expect_response(lambda answer: answer.request.method == "DELETE") as ended:
        press(page, "Cancel")
    assert ended.value.status == 204
    row.get_by_text("cancelled").wait_for()
    assert page.evaluate(KEPT) == []
    assert yard.api.head(url, headers=VERSION).status_code == 404
    page.reload()
    assert page.locator(".uploads li").count() == 0
    assert yard.api.get(f"{place.files}/weights.bin").status_code == 404


def test_what_has_ended_at_the_server_begins_anew(
    yard: Yard, server: LiveServer, place: Place, page: Page, row: Locator, weights: Path
) -> None:
    press(page, "Pause")
    assert yard.browser.delete(kept_url(page, server), headers=VERSION).status_code == 204
    press(page, "Resume")
    row.get_by_text("uploaded").wait_for()
    assert stored(yard, place) == weights.read_bytes()


def test_a_name_that_is_taken_meanwhile_and_a_file_that_changes_are_told(
    yard: Yard, place: Place, page: Page, row: Locator, weights: Path
) -> None:
    assert yard.api.put(f"{place.files}/weights.bin", content=b"theirs").status_code == 201
    row.get_by_text("A file of that name has come in meanwhile.").wait_for()
    assert stored(yard, place) == b"theirs"
    press(page, "Replace")
    row.get_by_text("/s").wait_for()
    press(page, "Pause")
    weights.write_bytes(b"changed")
    press(page, "Resume")
    row.get_by_text("It has changed meanwhile").wait_for()
    press(page, "Cancel")
    assert page.evaluate(KEPT) == []
    assert stored(yard, place) == b"theirs"


def test_an_ended_session_is_told_and_after_signing_in_the_upload_goes_on(
    yard: Yard,
    server: LiveServer,
    place: Place,
    watched: Watched,
    page: Page,
    row: Locator,
    weights: Path,
    sign_in: SignIn,
) -> None:
    press(page, "Pause")
    assert yard.browser.post("/users/sign_out").status_code == 303
    press(page, "Resume")
    row.get_by_text("Your session has ended: sign in again, then retry.").wait_for()
    again = sign_in(yard.owner.token).cookies["modelyard_session"]
    watched.context.add_cookies([yard.cookie(server, value=again)])
    press(page, "Retry")
    row.get_by_text("uploaded").wait_for()
    assert stored(yard, place) == weights.read_bytes()


def test_a_small_file_whose_answer_was_lost_is_known_by_its_digest(yard: Yard, place: Place, page: Page) -> None:
    def lose(route: Route) -> None:
        route.fetch()
        route.abort()

    def overtake(route: Route) -> None:
        assert yard.api.put(f"{place.files}/b.txt", content=b"theirs").status_code == 201
        route.abort()

    for name, happens, said in (("a.txt", lose, "uploaded"), ("b.txt", overtake, "has come in meanwhile")):
        page.route("**/files/**", happens, times=1)
        page.get_by_label("File", exact=True).set_input_files({"name": name, "mimeType": "", "buffer": b"mine"})
        page.locator(".uploads li").filter(has_text=name).get_by_text(said).wait_for()
    assert stored(yard, place, "a.txt") == b"mine"
    assert stored(yard, place, "b.txt") == b"theirs"


def test_sessions_go_on_with_uploads_for_pages_of_this_server_alone(
    yard: Yard, place: Place, server: LiveServer
) -> None:
    begun = create(yard.browser, f"/api/v4{place.files}", 6)
    assert begun.status_code == 201
    url = begun.headers["location"]
    cookie = {"Cookie": f"modelyard_session={yard.browser.cookies['modelyard_session']}"}
    chunk = VERSION | {"Upload-Offset": "0", "Content-Type": CHUNK_TYPE}
    with httpx2.Client(headers=cookie, timeout=30) as stranger:
        for other in (
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Origin": "https://evil.example.com"},
            {"Origin": "null"},
            {},
        ):
            as_header = VERSION | {"Upload-Length": "3", "Upload-Metadata": metadata(path="x")}
            for method, target, headers in (
                ("POST", f"{server.api}{place.files.removesuffix('/files')}/uploads", as_header),
                ("PATCH", url, chunk),
                ("DELETE", url, VERSION),
                ("POST", url, chunk | {"X-HTTP-Method-Override": "PATCH"}),
                ("POST", url, VERSION | {"X-HTTP-Method-Override": "DELETE"}),
            ):
                answer = stranger.request(method, target, headers=headers | other, content=b"abc")
                assert answer.status_code == 403, (method, other)
        # A request that browsers send for other sites without asking cannot have the header of the protocol.
        assert stranger.head(url).status_code == 412
        assert offset_of(yard.browser, url) == 0
        own = {"Origin": server.url}
        assert patch(stranger, url, 0, b"abc", **own).status_code == 204
    assert patch(yard.browser, url, 3, b"def").status_code == 204
    assert stored(yard, place, "w.bin") == b"abcdef"


def test_a_check_tells_where_uploads_go_on_below_the_path_of_a_proxy(tmp_path: Path) -> None:
    with running(tmp_path, external_url="http://yard.example.com/base") as live:
        with live.client(live.root_token) as root:
            project = root.post("/projects", json={"name": "p"}).json()["id"]
            run: dict[str, Any] = root.post(
                f"/projects/{project}/ml/mlflow/api/2.0/mlflow/runs/create", json={"experiment_id": "0"}
            ).json()
        iid = run["run"]["info"]["artifact_uri"].rpartition(":")[2]
        with httpx2.Client(base_url=live.url, headers=AS_BROWSER, timeout=30) as client:
            client.post("/users/sign_in", data={"token": live.root_token})
            owner = client.get("/").text.partition("/base/")[2]
            assert owner
            told = client.get(f"/{ROOT}/p/-/ml/candidates/{iid}/upload/check?name=a%20b&size=1").json()
    api = f"/base/api/v4/projects/{project}/packages/ml_models/candidate:{iid}"
    assert told == {
        "url": f"{api}/files/a%20b",
        "begin": f"{api}/uploads",
        "uploads": "/base/api/v4/uploads/",
        "exists": None,
    }
