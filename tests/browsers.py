"""Chromium for tests, from the distribution's packages, driven by Playwright; it watches every page that it shows."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
)
LOOKS = (("light", 1280), ("dark", 360))  # colours are the theme's, places the width's: nothing asks both
MORE_ROWS = "tbody tr:nth-child(n + 13)"  # a template's loop makes them as the twelve before
# What a page does that our Content-Security-Policy refuses, as the page itself is told.
WATCH = (
    "document.addEventListener('securitypolicyviolation', e => console.error('CSP', e.violatedDirective, e.blockedURI))"
)


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """A browser. The test is skipped where there is none, and fails there in CI."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None and os.environ.get("CI"):
        pytest.fail("Chromium is not installed")
    if path is None:
        pytest.skip("Chromium is not installed")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(FLAGS), chromium_sandbox=os.geteuid() != 0)
        yield browser
        browser.close()


@dataclass
class Watched:
    """A context of a browser, with what must not happen in it."""

    context: BrowserContext
    origin: str
    faults: list[str] = field(default_factory=list)
    expected: tuple[str, ...] = ()  # texts of faults that a test causes on purpose

    def page(self) -> Page:
        """A new page that is watched."""
        page = self.context.new_page()
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("request", self._request)
        return page

    def hold(self) -> None:
        """Fail for whatever happened."""
        faults = [fault for fault in self.faults if not any(text in fault for text in self.expected)]
        assert not faults, faults

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.faults.append(f"console: {message.text} at {message.location.get('url', '')}")

    def _request(self, request: Request) -> None:
        url = urlsplit(request.url)
        if url.scheme not in {"data", "blob", "about"} and f"{url.scheme}://{url.netloc}" != self.origin:
            self.faults.append(f"request: {request.url}")


@contextmanager
def watched(browser: Browser, origin: str, **options: Any) -> Iterator[Watched]:
    """A fresh context, whose faults fail the test at the end."""
    context = browser.new_context(base_url=origin, **options)
    context.add_init_script(WATCH)
    found = Watched(context, origin)
    try:
        yield found
    finally:
        context.close()
    found.hold()


def axe(page: Page) -> list[str]:
    """What axe finds against a page, a line each (WCAG 2 A and AA, and best practices); of a long table's rows it sees
    the first dozen, as its look at colours takes a millisecond for each text.
    """
    from axe_playwright_python.sync_playwright import Axe  # noqa: PLC0415 - half a megabyte of script

    found = Axe().run(page, {"exclude": [[MORE_ROWS]]}).response["violations"]
    return [f"{each['id']}: {node['html'][:200]}" for each in found for node in each["nodes"]]
