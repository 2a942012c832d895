"""nginx as a load balancer, with the example's configuration: `deploy/nginx/nginx.conf`."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from bench.machine import Cores
from bench.process import HOST, Server, free_port
from bench.tools import ROOT

EXAMPLE = ROOT / "deploy" / "nginx" / "nginx.conf"
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


class Balancer:
    """A running nginx in front of servers on those ports."""

    def __init__(self, program: Path, folder: Path, ports: Sequence[int], cores: Cores) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        file = folder / "nginx.conf"
        file.write_text(configuration(folder, self.port, ports, folder / "blobs"))
        command = [str(program), "-p", str(folder), "-c", str(file), "-g", "daemon off;"]
        self.server = Server(command, folder / "server.log", cores=cores)
        self.server.wait_until_ready(self.port, "/-/health")


def configuration(folder: Path, port: int, ports: Sequence[int], blobs: Path) -> str:
    """The example with this machine's addresses and folders in it; all else stays as it is."""
    text = EXAMPLE.read_text()
    options = re.findall(r"^ +server modelyard-1:8080(.*)$", text, re.MULTILINE)[0]
    servers = "\n".join(f"server {HOST}:{each}{options}" for each in ports)
    temporary = "\n".join(f"{kind}_temp_path {folder}/{kind};" for kind in TEMPORARY)
    account = "user root;" if os.geteuid() == 0 else ""  # its workers would be somebody who cannot read the folder
    for old, new in (
        (r"(^ +server modelyard-\d:8080.*\n)+", f"{servers}\n"),
        (r"^user nginx;$", f"{account}\npid {folder}/pid;"),
        (r"^http {$", f"http {{\n{temporary}"),
        (r"listen 80;", f"listen {HOST}:{port};"),
        (r"/dev/stdout", f"{folder}/access.log"),
        (r"/dev/stderr", f"{folder}/error.log"),
        (r"/srv/modelyard/blobs/", f"{blobs}/"),
    ):
        text = _replaced(text, old, new)
    return text


def _replaced(text: str, old: str, new: str) -> str:
    changed, times = re.subn(old, lambda _: new, text, flags=re.MULTILINE)
    if times != 1:
        raise ValueError(f"{EXAMPLE} has {old} {times} times")
    return changed
