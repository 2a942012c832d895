"""Hugging Face's clients send and read where the server stands behind nginx, below a prefix, or before a bucket."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from modelyard.services.upkeep.checking import check
from tests.e2e.hub_flows import outcomes
from tests.live import LiveServer, running
from tests.nginx import require_nginx, running_nginx
from tests.ports import free_port
from tests.s3 import BUCKET, S3Server
from tests.waiting import eventually

FLOWS = ("flow_folder", "flow_revision", "flow_operations", "flow_repository", "flow_command")
PREFIX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log; {user}
events {{ }}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    server {{
        listen 127.0.0.1:{port}; client_max_body_size 0;
        location ~ ^/hf/ {{
            rewrite ^ $request_uri;
            rewrite ^/hf(/.*)$ $1 break;
            return 400;
            proxy_pass http://127.0.0.1:{behind}$uri;
            proxy_set_header Host $http_host; proxy_http_version 1.1; proxy_request_buffering off;
        }}
    }}
}}
"""

Place = tuple[LiveServer, str]


@contextmanager
def behind_nginx(folder: Path, _s3: Callable[[], S3Server]) -> Iterator[Place]:
    require_nginx()
    with (
        running(folder / "yard", x_accel_redirect="/blobs/") as live,
        running_nginx(folder / "nginx", [live.port], live.settings.blob_root) as front,
    ):
        yield live, front.url


@contextmanager
def below_a_prefix(folder: Path, _s3: Callable[[], S3Server]) -> Iterator[Place]:
    program, port = require_nginx(), free_port()
    url = f"http://127.0.0.1:{port}/hf"
    with running(folder / "yard", external_url=url) as live:
        user = "user root;" if os.geteuid() == 0 else ""
        text = PREFIX.format(folder=folder, port=port, behind=live.port, user=user)
        (folder / "nginx.conf").write_text(text)
        with subprocess.Popen([program, "-p", str(folder), "-c", str(folder / "nginx.conf")]) as process:
            try:
                eventually((folder / "pid").exists)
                yield live, url
            finally:
                process.terminate()


@contextmanager
def before_a_bucket(folder: Path, s3: Callable[[], S3Server], *, redirect: bool = False) -> Iterator[Place]:
    url = f"s3://{BUCKET}/{secrets.token_hex(8)}"
    found = s3()
    with found.as_environment(), running(folder, blob_url=url, s3_addressing="path", s3_redirect=redirect) as live:
        yield live, live.url


@contextmanager
def before_a_bucket_that_get_leads_to(folder: Path, s3: Callable[[], S3Server]) -> Iterator[Place]:
    with before_a_bucket(folder, s3, redirect=True) as place:
        yield place


PLACES = (behind_nginx, below_a_prefix, before_a_bucket, before_a_bucket_that_get_leads_to)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("client", ["hub2", "hub036"])
@pytest.mark.parametrize("place", PLACES)
def test_models_are_sent_and_read(
    tmp_path: Path, request: pytest.FixtureRequest, place: Callable[..., object], client: str
) -> None:
    if (place, client) == (below_a_prefix, "hub036"):
        pytest.skip("the client takes the prefix in its own endpoint for a kind of repository")
    with ExitStack() as stack:
        entered = place(tmp_path, lambda: request.getfixturevalue("moto"))
        live, url = stack.enter_context(entered)  # type: ignore[arg-type, var-annotated]
        result = outcomes(client, "hub_writing.py", FLOWS, live, tmp_path / "home", url)
        assert result == dict.fromkeys(FLOWS)
        assert list(check(live.app.state.database, live.app.state.store, read=True)) == []
