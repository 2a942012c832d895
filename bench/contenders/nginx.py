"""nginx: static files by sendfile from one worker, the limit that a user would name."""

from __future__ import annotations

import os
from pathlib import Path

from bench.contenders.target import Target
from bench.process import Server, free_port

CONFIGURATION = """\
{user}daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    default_type application/octet-stream;
    keepalive_requests 1000000000;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        root {root};
        location = /ready {{ return 200; }}
    }}
}}
"""


class Nginx:
    """A server of the files under `root`."""

    def __init__(self, program: Path, folder: Path, root: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        configuration = folder / "nginx.conf"
        # As root, its workers would become another user, who cannot read the work folder.
        user = "user root;\n" if os.geteuid() == 0 else ""
        configuration.write_text(
            CONFIGURATION.format(user=user, folder=folder.resolve(), port=self.port, root=root.resolve())
        )
        self.server = Server([str(program), "-c", str(configuration.resolve())], folder / "server.log")
        self.server.wait_until_ready(self.port, "/ready")

    def file(self, name: str) -> Target:
        """Where the file `name` under the root is got."""
        return Target(self.port, f"/{name}")
