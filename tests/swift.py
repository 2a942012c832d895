"""OpenStack Swift with its S3 API, from Debian's packages: four processes on free ports, one disk and no replica."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2
import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.ports import free_port
from tests.s3 import BUCKET, S3Server

PROGRAMS = ("swift-proxy-server", "swift-account-server", "swift-container-server", "swift-object-server")
STORAGE = ("account", "container", "object")
START_SECONDS = 60
ATTEMPTS = 3

PYTHON = "/usr/bin/python3"  # whose packages Debian's are

# What swift-ring-builder does in nine processes.
RINGS = """
import sys
from swift.common.ring import RingBuilder
for each in sys.argv[1:]:
    kind, port = each.split(":")
    builder = RingBuilder(2, 1, 0)
    builder.add_dev({"region": 1, "zone": 1, "ip": "127.0.0.1", "port": int(port), "device": "disk", "weight": 1})
    builder.rebalance()
    builder.get_ring().save(f"{kind}.ring.gz")
"""

CLUSTER = """
[swift-hash]
swift_hash_path_prefix = tests
swift_hash_path_suffix = tests

[storage-policy:0]
name = default
default = yes
"""

SERVER = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
swift_dir = {etc}
devices = {devices}
mount_check = false
fallocate_reserve = 0
workers = {workers}
user = {user}
log_level = WARNING
"""

STORAGE_PIPELINE = """
[pipeline:main]
pipeline = {kind}-server

[app:{kind}-server]
use = egg:swift#{kind}
"""

PROXY_PIPELINE = """
[pipeline:main]
pipeline = catch_errors cache listing_formats bulk s3api tempauth copy slo dlo proxy-server

[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true

[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin

[filter:s3api]
use = egg:swift#s3api
location = us-east-1

[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:{no_memcached}
"""
FILTERS = ("catch_errors", "listing_formats", "bulk", "copy", "slo", "dlo")


def require_swift() -> None:
    """Skip the test where Swift is not installed; in CI that is a failure."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing and os.environ.get("CI"):
        pytest.fail(f"OpenStack Swift is not installed: {', '.join(missing)}")
    if missing:
        pytest.skip(f"OpenStack Swift is not installed: {', '.join(missing)}")


@contextmanager
def running_swift(folder: Path) -> Iterator[S3Server]:
    """A server with the bucket, whose data lies in an empty folder."""
    with ExitStack() as running:
        for attempt in range(1, ATTEMPTS + 1):  # somebody else may be quicker to take a port
            try:
                server = _start(folder / str(attempt), running)
                break
            except AssertionError:
                running.close()
                if attempt == ATTEMPTS:
                    raise
        yield server


def _start(folder: Path, running: ExitStack) -> S3Server:
    etc = folder / "etc"
    etc.mkdir(parents=True)
    ports = {kind: free_port() for kind in (*STORAGE, "proxy", "memcached")}
    _configure(folder, etc, ports)
    processes = [running.enter_context(_process(kind, etc, folder / f"{kind}.log")) for kind in (*STORAGE, "proxy")]
    server = S3Server(f"http://127.0.0.1:{ports['proxy']}")
    _make_bucket(server, folder, processes)
    return server


def _configure(folder: Path, etc: Path, ports: dict[str, int]) -> None:
    devices = folder / "devices"
    (devices / "disk").mkdir(parents=True)
    common = {"etc": etc, "devices": devices, "user": getpass.getuser()}
    (etc / "swift.conf").write_text(CLUSTER)
    command = [PYTHON, "-c", RINGS, *(f"{kind}:{ports[kind]}" for kind in STORAGE)]
    subprocess.run(command, cwd=etc, env=os.environ | {"SWIFT_DIR": str(etc)}, check=True)
    for kind in STORAGE:
        text = SERVER.format(port=ports[kind], workers=0, **common) + STORAGE_PIPELINE.format(kind=kind)
        (etc / f"{kind}.conf").write_text(text)
    filters = "".join(f"\n[filter:{name}]\nuse = egg:swift#{name}\n" for name in FILTERS)
    proxy = SERVER.format(port=ports["proxy"], workers=0, **common)
    (etc / "proxy.conf").write_text(proxy + PROXY_PIPELINE.format(no_memcached=ports["memcached"]) + filters)


@contextmanager
def _process(kind: str, etc: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            [f"swift-{kind}-server", etc / f"{kind}.conf"],
            env=os.environ | {"SWIFT_DIR": str(etc)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _make_bucket(server: S3Server, folder: Path, processes: Sequence[subprocess.Popen[bytes]]) -> None:
    give_up = time.monotonic() + START_SECONDS
    while True:
        try:
            httpx2.get(server.endpoint)
            server.client().create_bucket(Bucket=BUCKET)
        except (httpx2.TransportError, BotoCoreError, ClientError) as error:
            if time.monotonic() > give_up or any(process.poll() is not None for process in processes):
                logs = "".join(path.read_text() for path in sorted(folder.glob("*.log")))
                raise AssertionError(f"Swift did not start: {error}\n{logs}") from error
            time.sleep(0.2)
        else:
            return
