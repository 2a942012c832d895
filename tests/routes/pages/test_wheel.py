"""The server's wheel: it has all that pages need, and shows them far from a checkout, without Node and a network."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PAGES = Path("modelyard/routes/pages")
# Run where nothing of the checkout is: looks at a page, and at all that it loads, with no way out of the process.
LOOK = """
import asyncio, re, socket, sys
import httpx2, modelyard
from modelyard.app import create_app
from modelyard.settings import Settings

assert modelyard.__file__.startswith(sys.argv[1]), modelyard.__file__

def refused(*_):
    raise AssertionError("a way out")

socket.socket.connect = socket.create_connection = refused

async def look():
    app = create_app(Settings())
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app=app)
        options = {"base_url": "http://yard", "headers": {"Accept": "text/html"}}
        async with httpx2.AsyncClient(transport=transport, **options) as client:
            page = await client.get("/users/sign_in")
            assert page.status_code == 200, page.text
            loaded = re.findall(r'(?:src|href)="(/-/assets/[^"]+)"', page.text)
            print(len(loaded), {(await client.get(path)).status_code for path in loaded})

asyncio.run(look())
"""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, f"--wheel-dir={folder}", str(ROOT)], check=True)
    (wheel,) = folder.glob("modelyard-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def test_it_has_every_template_and_asset_with_its_licences(unpacked: Path) -> None:
    listed = subprocess.run(["git", "ls-files", f"src/{PAGES}"], cwd=ROOT, capture_output=True, text=True, check=True)
    tracked = {line.removeprefix("src/") for line in listed.stdout.split()}
    packed = {str(path.relative_to(unpacked)) for path in (unpacked / PAGES).rglob("*") if path.is_file()}
    assert tracked - packed == set()
    assert not [name for name in packed if "node_modules" in name]


def test_it_shows_pages_far_from_a_checkout_without_a_network(unpacked: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"

    def run(script: str, *arguments: str | Path) -> str:
        environment = {"PYTHONPATH": str(unpacked), "PATH": "", "MODELYARD_DATA_DIR": str(data)}
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    run("from modelyard.cli import main; main()", "migrate")
    count, statuses = run(LOOK, unpacked).splitlines()[-1].split(" ", 1)
    assert (int(count) >= 4, statuses) == (True, "{200}")
