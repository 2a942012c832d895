"""Files as pages show them, and their bytes where a browser opens them: nothing in one acts for its reader."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import httpx2
import pytest

from modelyard.routes.pages import raw
from tests.browsers import axe
from tests.live import LiveServer
from tests.routes.pages.attacks import acting
from tests.routes.pages.conftest import Open
from tests.routes.pages.yard import Yard
from tests.services.previews.test_previewing import MLMODEL, gguf, info, npy, safetensors, string, tensor

ALERT = "<script>document.title='ran';parent.postMessage('ran','*')</script>"
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63f8cfc0f01f0005000"
    "1ff89993d1d0000000049454e44ae426082"
)
SVG = (
    b'<svg xmlns="http://www.w3.org/2000/svg" onload="document.title=\'ran\'">'
    b'<script>document.title="ran"</script></svg>'
)
FILES = {
    "notes.txt": f"plain {ALERT}".encode(),
    "README.md": f"# Hello\n\n**bold** [x](javascript:alert(1))\n\n{ALERT}\n".encode(),
    "rows.csv": f"name,{ALERT}\n1,2\n".encode(),
    "config.json": json.dumps({"a": ALERT}).encode(),
    "nb.ipynb": json.dumps(
        {
            "cells": [
                {"cell_type": "markdown", "source": f"## Title {ALERT}"},
                {"cell_type": "code", "source": ALERT, "outputs": [{"text": ALERT, "data": {"text/html": ALERT}}]},
            ]
        }
    ).encode(),
    "model/MLmodel": MLMODEL.encode(),
    "model.safetensors": safetensors({"<b>w</b>": tensor(0, 8, [2, 2])}) + bytes(8),
    "model.gguf": gguf([string(b"general.name") + struct.pack("<I", 8) + string(b"<i>n")], [info(b"out", [2, 3])]),
    "array.npy": npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }\n") + bytes(12),
    "broken.safetensors": b"\xff" * 64,
    "picture.png": PNG,
    "drawing.svg": SVG,
    "report.html": f"<h1>Report</h1>{ALERT}".encode(),
    "paper.pdf": b"%PDF-1.4\n" + ALERT.encode(),
    "polyglot.png": b"GIF89a/*" + ALERT.encode() + b"*/",
    "feed.xml": b'<?xml version="1.0"?><x xmlns:h="http://www.w3.org/1999/xhtml"><h:script>1</h:script></x>',
    "model.pkl": b"\x80\x04K\x01.",
}
PLAIN = "text/plain; charset=utf-8"
SHOWN = {
    "notes.txt": "plain &lt;script&gt;",
    "README.md": "<strong>bold</strong>",
    "rows.csv": '<th scope="col" dir="auto">name</th>',
    "config.json": "&#34;a&#34;: &#34;&lt;script&gt;",
    "nb.ipynb": "Title",
    "model/MLmodel": "x&lt;1&gt;",
    "model.safetensors": "&lt;b&gt;w&lt;/b&gt;",
    "model.gguf": "&lt;i&gt;n",
    "array.npy": "&lt;f4",
    "broken.safetensors": "The header is larger than 100 MB.",
    "picture.png": "/raw/picture.png",
    "drawing.svg": '<img src="',
    "report.html": 'sandbox=""',
    "paper.pdf": "Open the PDF",
    "polyglot.png": "/raw/polyglot.png",
    "feed.xml": "&lt;?xml",
    "model.pkl": "There is no preview of this kind of file.",
}


@pytest.fixture
def version(yard: Yard) -> str:
    """The path of a version's page, below which each kind of file lies."""
    model, number = yard.model("churn"), yard.version("churn")
    for name, content in FILES.items():
        yard.put(number, name, content)
    return yard.shown(model, number)


def test_each_kind_of_file_is_shown_and_nothing_in_one_as_markup(yard: Yard, version: str) -> None:
    assert SHOWN.keys() == FILES.keys()
    for name, text in SHOWN.items():
        answer = yard.browser.get(f"{version}/blob/{name}")
        assert (answer.status_code, text in answer.text) == (200, True), (name, answer.text[-1500:])
        assert acting(answer.text) == (["iframe"] if name == "report.html" else []), name


def test_bytes_are_sent_as_what_may_be_shown_in_an_origin_of_their_own(yard: Yard, version: str) -> None:
    for name, content in FILES.items():
        answer = yard.browser.get(f"{version}/raw/{name}")
        headers = answer.headers
        assert (answer.status_code, answer.content) == (200, content), name
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'self'" in policy
        assert "script-src" not in policy
        assert policy.startswith("sandbox;") != (name == "paper.pdf")
        inline = name.rpartition(".")[2] not in ("safetensors", "gguf", "npy", "pkl")
        assert headers["content-disposition"].startswith("inline" if inline else "attachment"), name
    scripts = yard.browser.get(f"{version}/raw/report.html?scripts=1").headers["content-security-policy"]
    assert scripts.startswith("sandbox allow-scripts; default-src 'none'")
    assert "allow-same-origin" not in scripts
    for name in ("drawing.svg", "paper.pdf", "notes.txt"):
        other = yard.browser.get(f"{version}/raw/{name}?scripts=1").headers["content-security-policy"]
        assert "allow-scripts" not in other
    part = yard.browser.get(f"{version}/raw/notes.txt", headers={"Range": "bytes=0-4"})
    assert (part.status_code, part.content, part.headers["content-type"]) == (
        206,
        b"plain",
        "text/plain; charset=utf-8",
    )
    several = yard.browser.get(f"{version}/raw/notes.txt", headers={"Range": "bytes=0-1,3-4"})
    assert several.headers["content-type"].startswith("multipart/byteranges")
    etag = {"If-None-Match": part.headers["etag"]}
    assert yard.browser.get(f"{version}/raw/notes.txt", headers=etag).status_code == 304
    assert yard.browser.head(f"{version}/raw/notes.txt").headers["content-type"] == PLAIN


def test_what_is_not_there_or_not_the_viewer_s_is_a_page(yard: Yard, version: str, visitor: httpx2.Client) -> None:
    for path, status in (("nothing", 404), ("../x", 400), ("%zz", 400), ("a%2fb", 400), ("x" * 2000, 400)):
        answer = yard.browser.get(f"{version}/raw/{path}")
        assert answer.status_code in (status, 404), path
        assert answer.headers["x-request-id"] in answer.text
    assert visitor.get(f"{version}/raw/report.html").status_code in (303, 404)
    assert visitor.get(f"{version}/blob/report.html").status_code == 404


def test_a_file_whose_bytes_are_lost_says_so(yard: Yard, server: LiveServer) -> None:
    model, number = yard.model("lost"), yard.version("lost")
    yard.put(number, "lost.txt", b"lost" * 50_000)
    blobs = (path for path in Path(server.settings.blob_root).rglob("*") if path.is_file())
    newest = max(blobs, key=lambda path: path.stat().st_mtime_ns)
    newest.unlink()
    answer = yard.browser.get(f"{yard.shown(model, number)}/blob/lost.txt")
    assert (answer.status_code, "not what was uploaded" in answer.text) == (200, True)
    assert "Delete file" in answer.text


def test_headers_are_looked_into_once(yard: Yard, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "4" in yard.browser.get(f"{version}/blob/model.safetensors").text
    from modelyard.routes.pages import previews  # noqa: PLC0415 - what is to be broken

    def broken(*_: object) -> None:
        raise AssertionError("looked again")

    monkeypatch.setattr(previews, "preview_of", broken)
    assert "&lt;b&gt;w&lt;/b&gt;" in yard.browser.get(f"{version}/blob/model.safetensors").text


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_all_and_runs_nothing_of_it(
    browse: Open, server: LiveServer, yard: Yard, version: str, scheme: str
) -> None:
    with browse(color_scheme=scheme, viewport={"width": 360, "height": 800}) as watched:
        watched.expected = (
            "sandboxed",
            "Content Security Policy",
            "frame is not allowed",
            "Blocked script",
            "CSP connect-src",
            "Connecting to",
        )
        watched.context.add_cookies([yard.cookie(server)])
        page = watched.page()
        for name in FILES:
            page.goto(f"{version}/blob/{name}")
            assert axe(page) == [], name
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
            assert page.title() != "ran"
        page.goto(f"{version}/blob/report.html")
        assert page.frame_locator("iframe").get_by_role("heading", name="Report").count() == 1
        assert page.frames[1].evaluate("origin") == "null"
        assert page.frames[1].title() != "ran"
        for name in ("drawing.svg", "report.html", "feed.xml", "polyglot.png"):
            page.goto(f"{version}/raw/{name}")
            assert page.title() != "ran", name
        page.goto(f"{version}/blob/report.html")
        page.get_by_role("link", name="Run scripts").click()
        page.frame_locator("iframe").get_by_role("heading", name="Report").wait_for()
        frame = page.frames[1]
        assert frame.title() == "ran"
        assert frame.evaluate("origin") == "null"
        gone = "() => fetch('/').then(() => 'sent', () => 'refused')"
        assert frame.evaluate(gone) == "refused"
        assert frame.evaluate("() => { try { return document.cookie } catch (error) { return error.name } }") == (
            "SecurityError"
        )
        assert page.get_by_role("link", name="Stop scripts").count() == 1


def test_policies_are_those_that_were_measured() -> None:
    assert raw.policy_of("image/svg+xml", scripts=True) == raw.SANDBOXED
    assert "allow-scripts" not in raw.SANDBOXED
