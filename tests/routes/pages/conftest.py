"""What tests of pages share: sessions without a browser, and a browser that watches what it shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Browser

from tests.browsers import Watched, running_chromium, watched
from tests.conftest import Account
from tests.live import LiveServer
from tests.routes.pages.tracked import World
from tests.routes.pages.yard import Yard

SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}
AS_BROWSER = {"Accept": "text/html,application/xhtml+xml", **SAME_ORIGIN}

SignIn = Callable[[str], httpx2.Client]
Open = Callable[..., AbstractContextManager[Watched]]


@pytest.fixture
def visitor(server: LiveServer) -> Iterator[httpx2.Client]:
    """An anonymous browser, as far as HTTP goes."""
    with httpx2.Client(base_url=server.url, headers=AS_BROWSER, timeout=30) as client:
        yield client


@pytest.fixture
def sign_in(server: LiveServer) -> Iterator[SignIn]:
    """Makes browsers that are signed in with a token."""
    opened: list[httpx2.Client] = []

    def make(token: str) -> httpx2.Client:
        client = httpx2.Client(base_url=server.url, headers=AS_BROWSER, timeout=30)
        opened.append(client)
        answer = client.post("/users/sign_in", data={"token": token})
        assert answer.status_code == 303, answer.text
        return client

    yield make
    for client in opened:
        client.close()


@pytest.fixture
def admin(server: LiveServer, sign_in: SignIn) -> httpx2.Client:
    """The administrator, signed in."""
    return sign_in(server.root_token)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for all tests of a file. While it is there, its thread has an event loop that runs: no other can."""
    with running_chromium() as browser:
        yield browser


@pytest.fixture
def browse(chromium: Browser, server: LiveServer) -> Open:
    """Opens contexts on the server; options are Playwright's, such as `java_script_enabled=False`."""
    return partial(watched, chromium, server.url)


@pytest.fixture
def yard(make_user: Callable[..., Account], make_project: Callable[..., dict[str, Any]], sign_in: SignIn) -> Yard:
    owner = make_user()
    project = make_project(owner)
    return Yard(project["id"], project["path_with_namespace"], owner.client, sign_in(owner.token), owner)


@pytest.fixture
def world(root: httpx2.Client, make_project: Callable[..., dict[str, Any]]) -> World:
    """A public project of the administrator's, for runs."""
    return World(root, make_project(visibility="public"))
