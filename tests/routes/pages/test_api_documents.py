"""`/docs`: Swagger UI from this server's own files, below a path too, and without the other pages."""

from __future__ import annotations

import re
from pathlib import Path

import httpx2
import pytest

from tests.browsers import running_chromium, watched
from tests.live import running


@pytest.mark.once
def test_the_api_is_shown_without_the_internet_and_without_pages(tmp_path: Path) -> None:
    with running(tmp_path, pages=False) as live, running_chromium() as browser, watched(browser, live.url) as seen:
        page = seen.page()
        page.goto("/docs")
        page.get_by_role("heading", name="modelyard").wait_for()
        operation = page.locator("#operations-version-get_version, [id^=operations-] .opblock-summary-control").first
        operation.click()
        page.get_by_role("button", name="Try it out").first.wait_for()
        assert httpx2.get(f"{live.url}/-/assets/0/app.css").status_code == 404


@pytest.mark.once
def test_the_page_of_the_api_works_below_a_path_and_tells_others_nothing(tmp_path: Path) -> None:
    with running(tmp_path, external_url="https://yard.example.com/base") as live:
        answer = httpx2.get(f"{live.url}/docs")
        assert "'unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["strict-transport-security"]
        led = re.findall(r'(?:href|src|data-url)="([^"]*)"', answer.text)
        assert "/base/openapi.json" in led
        for url in led:
            assert url.startswith("/base/"), url
            assert httpx2.get(live.url + url.removeprefix("/base"), timeout=60).status_code == 200, url
        assert httpx2.get(f"{live.url}/openapi.json", timeout=60).json()["servers"] == [{"url": "/base"}]
        for url in ("/docs/0/vendor/swagger-ui.js", "/docs/0/..%2fsubject.py", "/docs/0/"):
            assert httpx2.get(live.url + url).status_code == 404
