"""The pages behind the example of nginx's configuration, at the top and below a path, in a browser."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.browsers import running_chromium, watched
from tests.live import running
from tests.nginx import require_nginx, running_nginx
from tests.ports import free_port

SIZE = 9 * 1024 * 1024  # what goes by tus


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("path", ["", "/yard"])
def test_pages_work_behind_nginx_at_the_top_and_below_a_path(tmp_path: Path, path: str) -> None:
    require_nginx()
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    source = tmp_path / "weights #1.bin"
    source.write_bytes(os.urandom(SIZE))
    with (
        running(tmp_path / "data", external_url=origin + path) as live,
        running_nginx(tmp_path / "nginx", [live.port], port=port, below=bool(path)) as nginx,
        running_chromium() as browser,
        watched(browser, origin) as seen,
    ):
        page = seen.page()
        page.goto(f"{path}/projects/new")
        page.get_by_label("Personal access token").fill(live.root_token)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_label("Name", exact=True).fill("fronted")
        page.get_by_role("button", name="Create project").click()
        page.get_by_role("link", name="Models", exact=True).first.click()
        page.get_by_role("link", name="New model").click()
        page.get_by_label("Name", exact=True).fill("iris")
        page.get_by_role("button", name="Create model").click()
        page.get_by_role("link", name="New version").click()
        page.get_by_role("button", name="Create version").click()
        page.get_by_role("link", name="Upload files").click()
        page.get_by_label("Folder", exact=True).fill("50% of/ü")
        page.get_by_label("File", exact=True).set_input_files(source)
        page.locator(".uploads").get_by_text("uploaded").wait_for()
        page.get_by_role("link", name="Show the files").click()
        page.get_by_role("link", name="50% of/").click()
        page.get_by_role("link", name="ü/").click()
        page.get_by_role("link", name="weights #1.bin", exact=True).click()
        with page.expect_download() as download:
            page.get_by_role("link", name="Download file").click()
        assert Path(download.value.path()).read_bytes() == source.read_bytes()
        page.get_by_role("link", name="1.0.0").first.click()
        page.get_by_label("Alias", exact=True).fill("champion")
        page.get_by_role("button", name="Set alias").click()
        page.get_by_role("status").get_by_text("champion names this version now").wait_for()
        page.goto(f"{path}/docs")
        page.get_by_role("heading", name="modelyard").wait_for()
        told = nginx.log()
        assert "PATCH" in told
        assert f'"GET {path}/docs"' in told
