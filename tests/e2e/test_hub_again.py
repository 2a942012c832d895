"""What Hugging Face's clients send of a folder that the server has, as it is or was, by the server's own count."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import httpx2
import pytest

from tests.e2e.environments import client_python
from tests.e2e.hub_flows import environment
from tests.live import LiveServer, running

RECEIVED = "modelyard_http_received_bytes_total"
CODE = """
import pathlib, sys, huggingface_hub as hub
place = pathlib.Path(sys.argv[1])
hub.create_repo("root/m", exist_ok=True)
hub.HfApi().upload_folder(repo_id="root/m", folder_path=place)
copy = pathlib.Path(hub.snapshot_download("root/m", local_dir=sys.argv[2]))
for path in place.iterdir():
    assert (copy / path.name).read_bytes() == path.read_bytes(), path
"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def received(live: LiveServer) -> int:
    """Bytes of all bodies so far."""
    lines = httpx2.get(f"{live.url}/metrics").text.splitlines()
    return int(sum(float(each.rpartition(" ")[2]) for each in lines if each.startswith(RECEIVED)))


def uploaded(client: str, live: LiveServer, place: Path, home: Path) -> int:
    """Send a folder, by a machine that knows nothing of earlier times; the answer is the bytes that came."""
    before = received(live)
    home.mkdir()
    command = [str(client_python(client)), "-c", CODE, str(place), str(home / "copy")]
    told = environment(live.url, live.root_token, home)
    done = subprocess.run(command, env=told, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]
    return received(live) - before


@pytest.mark.parametrize("client", ["hub2", "xet151", "xet152", "xet160"])
def test_what_the_server_has_is_not_sent_again(tmp_path: Path, client: str) -> None:
    place = tmp_path / "folder"
    place.mkdir()
    large = os.urandom(6_000_000)
    (place / "large.bin").write_bytes(large)
    (place / "other.bin").write_bytes(os.urandom(300_000))
    (place / "config.json").write_text("{}")
    with running(tmp_path / "yard") as live:
        assert uploaded(client, live, place, tmp_path / "1") > 6_000_000
        assert uploaded(client, live, place, tmp_path / "2") < 10_000
        (place / "large.bin").write_bytes(large[:4_000_000] + b"changed" + large[4_000_000:] + b"more")
        assert uploaded(client, live, place, tmp_path / "3") < 1_000_000
        assert uploaded(client, live, place, tmp_path / "4") < 10_000
