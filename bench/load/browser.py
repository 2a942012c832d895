"""A real browser that opens a page as somebody does for the first time, and tells what that took."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bench.metrics import Metrics
from bench.tools import MissingError

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
    "--no-sandbox",
)
PATIENCE_MS = 60_000
QUIET_MS, LOOKS = 500, 20  # without a file that begins or ends, looked for so many times: some pages are never at rest
# When something is painted, and when something that a selector names is there first, by the page's own clock.
WATCH = """
  const within = (begin) => new Promise((seen, failed) => {
    setTimeout(() => failed(new Error("it does not appear")), %d);
    begin(seen);
  });
  window.firstPaint = within((seen) => {
    new PerformanceObserver((list) => {
      for (const { name, startTime } of list.getEntries()) if (name === "first-contentful-paint") seen(startTime);
    }).observe({ type: "paint", buffered: true });
  });
  window.firstSeen = within((seen) => {
    const look = () => {
      const found = [...document.querySelectorAll(%r)].find((each) => each.textContent.includes(%r));
      if (found) seen(performance.now()); else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  });
"""


@contextmanager
def running() -> Iterator[Browser]:
    """A browser. Raises MissingError."""
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only these rows need it
    except ImportError as error:
        raise MissingError("playwright is not installed: make check") from error
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        raise MissingError("chromium is not installed: apt-get install chromium")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(FLAGS), chromium_sandbox=False)
        try:
            yield browser
        finally:
            browser.close()


def opened(browser: Browser, url: str, selector: str, text: str, sign_in: tuple[str, str] | None = None) -> Metrics:
    """What it takes to open a page in a browser that has never been there, until an element is there that `selector`
    names and that contains `text`. `sign_in`: the address of the form, and a token for it. Raises RuntimeError.
    """
    from playwright.sync_api import Error  # noqa: PLC0415

    with browser.new_context() as context:
        if sign_in is not None:
            _sign_in(context, *sign_in)
        try:
            return _opened(context, url, selector, text)
        except Error as error:
            raise RuntimeError(f"{url} was not shown: {error.message}") from error


def _opened(context: BrowserContext, url: str, selector: str, text: str) -> Metrics:
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.add_init_script(WATCH % (PATIENCE_MS, selector, text))
    network, sizes, urls = context.new_cdp_session(page), list[float](), list[str]()
    network.on("Network.loadingFinished", lambda told: sizes.append(told["encodedDataLength"]))
    network.on("Network.requestWillBeSent", lambda told: urls.append(told["request"]["url"]))
    network.send("Network.enable")
    page.goto(url, wait_until="commit")
    seen: float = page.evaluate("window.firstSeen")
    _settle(page, lambda: len(urls) + len(sizes))
    paint: float = page.evaluate("window.firstPaint")
    nodes = page.evaluate("document.getElementsByTagName('*').length")
    page.close()
    return {
        "first paint ms": paint,
        "first run ms": seen,
        "KiB": sum(sizes) / 1024,
        "files": len(urls),
        "nodes": nodes,
    }


def _settle(page: Page, moved: Callable[[], int]) -> None:
    """Wait until nothing is loaded any more, or it seems that this will not be."""
    for _ in range(LOOKS):
        before = moved()
        page.wait_for_timeout(QUIET_MS)
        if moved() == before:
            return


def _sign_in(context: BrowserContext, url: str, token: str) -> None:
    origin = url.partition("/users/")[0]
    answer = context.request.post(url, form={"token": token}, headers={"Origin": origin})
    if not answer.ok:
        raise RuntimeError(f"sign-in was answered with {answer.status}")
