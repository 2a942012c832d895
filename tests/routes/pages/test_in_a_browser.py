"""What only a browser does: pieces of pages put in place, copying, keys, addresses that servers never see."""

from __future__ import annotations

from pathlib import Path

from tests.live import LiveServer
from tests.routes.pages.conftest import Open
from tests.routes.pages.yard import Yard

DENYING = """for (const name of ["localStorage", "sessionStorage"])
  Object.defineProperty(window, name, { get() { throw new DOMException("denied", "SecurityError"); } });"""


def test_from_signing_in_to_a_version_with_an_alias_that_is_downloaded(
    browse: Open, server: LiveServer, yard: Yard, tmp_path: Path
) -> None:
    with browse(accept_downloads=True, permissions=["clipboard-read", "clipboard-write"]) as watched:
        page = watched.page()
        page.goto(yard.url("/-/ml/models/new"))
        page.get_by_label("Personal access token").fill(yard.owner.token)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_label("Name", exact=True).fill("iris")
        page.get_by_label("Card").fill("# Previewed\n\n<script>window.ran = 1</script>\n")
        page.get_by_role("button", name="Preview").click()
        page.get_by_role("heading", name="Previewed").wait_for()
        assert page.url.endswith("/-/ml/models/new")  # only the preview came
        assert page.get_by_label("Name", exact=True).input_value() == "iris"
        page.get_by_role("button", name="Create model").click()
        page.get_by_role("link", name="New version").click()
        page.get_by_role("button", name="Create version").click()
        page.get_by_text("This version has no files yet").wait_for()
        version = int(page.url.rpartition("/versions/")[2].partition("/")[0])
        yard.put(version, "sub/weights.bin", b"weights")
        page.get_by_role("link", name="Card", exact=True).click()
        page.get_by_label("Alias").fill("champion")
        page.get_by_role("button", name="Set alias").click()
        assert page.get_by_role("status").inner_text() == "champion names this version now"
        page.get_by_role("link", name="Files 1").click()
        page.get_by_role("link", name="sub/").click()
        page.get_by_role("link", name="weights.bin").first.click()
        page.get_by_role("button", name="Copy digest").click()
        page.get_by_role("button", name="Copied").wait_for()
        digest = page.evaluate("navigator.clipboard.readText()")
        assert digest == page.locator("dd code").first.inner_text()
        with page.expect_download() as download:
            page.get_by_role("link", name="Download file").click()
        download.value.save_as(tmp_path / "weights.bin")
        assert (tmp_path / "weights.bin").read_bytes() == b"weights"
        assert page.evaluate("window.ran") is None
        assert yard.owner.token not in page.content()
        assert server.root_token not in page.content()


def test_keys_and_gitlab_s_addresses_lead_to_tabs_and_neighbours(browse: Open, server: LiveServer, yard: Yard) -> None:
    model = yard.model()
    first, second = yard.version(), yard.version()
    with browse() as watched:
        watched.context.add_cookies([yard.cookie(server)])
        page = watched.page()
        page.goto(yard.url(f"/-/ml/models/{model}#/versions"))
        page.wait_for_url("**/models/*?tab=versions")
        page.goto(yard.shown(model, first) + "#/artifacts")
        page.wait_for_url(f"**/versions/{first}/tree")
        page.keyboard.press("]")
        page.wait_for_url(f"**/versions/{second}")
        page.keyboard.press("[")
        page.wait_for_url(f"**/versions/{first}")
        page.keyboard.press("g")
        page.keyboard.press("m")
        page.wait_for_url("**/-/ml/models")
        page.get_by_label("Sort by").select_option("-updated")
        page.wait_for_url("**sort=-updated")


def test_a_first_page_writes_times_in_the_reader_s_zone_and_tells_the_server_of_it(
    browse: Open, server: LiveServer, yard: Yard
) -> None:
    yard.model()
    with browse(timezone_id="Asia/Tokyo") as watched:
        watched.context.add_cookies([yard.cookie(server)])
        page = watched.page()
        page.goto(yard.url("/-/ml/models"))
        at_first = page.locator("td time").inner_text()
        page.reload()
        assert page.locator("body").get_attribute("data-zone") == "Asia/Tokyo"
        assert page.locator("td time").inner_text() == at_first
        assert "Asia%2FTokyo" in page.evaluate("document.cookie")
        assert "myd_" not in page.evaluate("document.cookie")


def test_pages_do_their_work_in_a_browser_that_denies_storage(
    browse: Open, server: LiveServer, yard: Yard, tmp_path: Path
) -> None:
    model, version = yard.model(), yard.version()
    weights = tmp_path / "weights.bin"
    weights.write_bytes(bytes(9 * 1024 * 1024))  # more than one PUT sends
    with browse() as watched:
        watched.context.add_init_script(DENYING)
        watched.context.add_cookies([yard.cookie(server)])
        page = watched.page()
        page.goto(f"{yard.shown(model, version)}/upload")
        page.get_by_label("File", exact=True).set_input_files(weights)
        page.locator(".uploads li").get_by_text("uploaded").wait_for()
        page.goto(yard.shown(model, version))
        page.keyboard.press("?")
        page.locator("#keys-off").check()
        page.keyboard.press("Escape")
        page.keyboard.press("?")
        assert page.locator("#keys").is_hidden()
