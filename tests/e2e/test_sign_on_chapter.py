"""The page on single sign-on runs: with a real provider, in a real browser, and with a real command line."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Browser, Page

from tests.browsers import axe, running_chromium, watched
from tests.commands import environment_of
from tests.documents import DOCUMENTS
from tests.e2e.environments import client_python
from tests.live import LiveServer, running
from tests.oidc_provider import SECRET, Provider, running_provider
from tests.shell_commands import forked_commands

PAGE = DOCUMENTS["docs/sign-on.md"]
ROOT = "root"  # the administrator's name
PEOPLE: dict[str, dict[str, object]] = {
    "ada": {"preferred_username": "ada", "name": "Ada", "groups": ["staff", "vision-team"], "email": "ada@example.com"},
    "eve": {"preferred_username": ROOT, "name": "Eve", "groups": ["strangers"], "email": "admin@example.com"},
    "op": {"preferred_username": "op", "name": "Op", "groups": ["operators"]},
}


@dataclass
class Stage:
    """A server, and a provider that knows it; both as the page has them, once its commands ran."""

    live: LiveServer
    provider: Provider
    folder: Path
    blocks: list[str]
    output: str


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("chapter")
    blocks = re.findall(r"^```bash\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    with (
        running(folder / "data", loopback_issuers=True) as live,
        running_provider(folder, live.url, people=PEOPLE) as provider,
        forked_commands() as shell,
    ):
        commands = [block for block in blocks if "hf auth" not in block]
        assert len(commands) == len(blocks) - 1
        script = "\n".join(["set -euo pipefail", *commands])
        script = script.replace("https://id.example.com", provider.issuer).replace("the-secret-of-the-client", SECRET)
        environment = environment_of(folder, {"MODELYARD_LOOPBACK_ISSUERS": "true"})
        environment["PATH"] = f"{shell}:{Path(sys.executable).parent}:{environment['PATH']}"
        options = {"cwd": folder, "env": environment, "capture_output": True, "text": True}
        done = subprocess.run(["bash", "-c", script], check=False, **options)  # type: ignore[call-overload]
        assert done.returncode == 0, done.stderr[-2000:]
        with live.client(live.root_token) as root:
            for namespace in ("vision", "speech"):
                made = root.post("/projects", json={"name": "models", "namespace_path": namespace})
                assert made.status_code == 201, made.text
        yield Stage(live, provider, folder, blocks, done.stdout)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with running_chromium() as browser:
        yield browser


def log_in(page: Page, name: str) -> None:
    """What a person does at the provider, in its own forms."""
    page.wait_for_selector("input[name=login]")
    page.fill("input[name=login]", name)
    page.fill("input[name=password]", "any")
    page.click("button[type=submit]")
    page.wait_for_selector("text=Authorize")  # whether this server may know who they are
    page.click("button[type=submit]")


def test_the_commands_print_where_the_provider_sends_people_back_to(stage: Stage) -> None:
    assert "/users/auth/company/callback\n" in stage.output
    assert f"company\t{stage.provider.issuer}\tgroups\n" in stage.output
    assert "vision-team\tdeveloper\tvision\n" in stage.output
    assert "operators\tadmin\n" in stage.output


@pytest.mark.slow
def test_a_person_signs_in_at_the_provider_sees_only_the_projects_of_their_group_and_signs_out_at_both_ends(
    stage: Stage, chromium: Browser
) -> None:
    with watched(chromium, stage.live.url) as seen:
        page = seen.page()
        seen.expected = ("request: ", "console: ")  # the provider's pages are on another host, and its own
        page.goto("/vision/models")
        assert page.locator("h1").inner_text() == "Page not found"
        page.goto("/users/sign_in")
        assert axe(page) == []
        page.click("text=Sign in with Example Inc.")
        log_in(page, "ada")
        page.wait_for_url(f"{stage.live.url}/**")
        page.goto("/dashboard/projects")
        shown = page.content()
        assert ("vision/models" in shown, "speech/models" in shown) == (True, False)
        assert page.goto("/vision/models").status == 200  # type: ignore[union-attr]
        assert page.goto("/speech/models").status == 404  # type: ignore[union-attr]
        page.goto("/")
        page.click(".top-user summary")
        page.click("text=Sign out")
        page.wait_for_url(f"{stage.provider.issuer}/**")
        page.wait_for_selector("text=Do you want to sign-out")
        page.click("button[value=yes]")
        page.wait_for_url(f"{stage.live.url}/**")
        # Nobody is signed in here, nor there: it asks who they are again.
        page.goto("/users/sign_in")
        page.click("text=Sign in with Example Inc.")
        page.wait_for_selector("input[name=login]")


@pytest.mark.slow
def test_who_is_in_no_group_is_told_so_and_takes_over_nobody(stage: Stage, chromium: Browser) -> None:
    with watched(chromium, stage.live.url) as seen:
        page = seen.page()
        seen.expected = ("request: ", "console: ")
        page.goto("/users/auth/company")
        log_in(page, "eve")
        page.wait_for_selector("text=no account here for you")
        assert page.locator("text=Signed in as").count() == 0
        assert axe(page) == []


@pytest.mark.slow
def test_an_administrator_comes_in_by_a_group_and_by_a_password(stage: Stage, chromium: Browser) -> None:
    with watched(chromium, stage.live.url) as seen:
        page = seen.page()
        seen.expected = ("request: ", "console: ")
        page.goto("/users/auth/company")
        log_in(page, "op")
        page.wait_for_url(f"{stage.live.url}/**")
        assert page.goto("/admin").status == 200  # type: ignore[union-attr]
    with watched(chromium, stage.live.url) as seen:
        page = seen.page()
        page.goto("/users/sign_in?return_to=/admin")
        page.fill("#username", ROOT)
        page.fill("#password", "a password of twelve characters or more")
        page.click("text=Sign in with the password")
        page.wait_for_url("**/admin")


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_hf_auth_login_gets_its_token_by_a_code_that_a_person_confirms(stage: Stage, tmp_path: Path) -> None:
    (block,) = [each for each in stage.blocks if "hf auth" in each]
    python = client_python("hub2")
    environment = {"PATH": f"{python.parent}:{os.environ['PATH']}", "HOME": str(tmp_path), "NO_COLOR": "1"}
    script = "set -euo pipefail\n" + block.replace("http://127.0.0.1:8080", stage.live.url)
    with subprocess.Popen(
        ["bash", "-c", script],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment | {"PYTHONUNBUFFERED": "1"},
        cwd=tmp_path,
    ) as process:
        assert process.stdout is not None
        stop = threading.Timer(150, process.kill)
        stop.start()
        said = ""
        while not (found := re.search(r"[A-Z]{4}-[A-Z]{4}", said)):
            line = process.stdout.readline()
            assert line, said
            said += line
        headers = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"}
        with httpx2.Client(base_url=stage.live.url, headers=headers, timeout=30) as browser:
            browser.post("/users/sign_in", data={"token": stage.live.root_token})
            shown = browser.get("/oauth/device", params={"user_code": found[0]})
            assert "Hugging Face CLI" in shown.text
            decided = browser.post("/oauth/device/decide", data={"user_code": found[0], "decision": "allow"})
            assert decided.status_code == 303
        said += process.stdout.read()
        stop.cancel()
    assert process.returncode == 0, said
    assert ROOT in said
    with stage.live.client(stage.live.root_token) as root:
        tokens = root.get("/personal_access_tokens", params={"search": "Hugging Face CLI"}).json()
    assert [(each["active"], each["revoked"]) for each in tokens] == [(True, False)]
