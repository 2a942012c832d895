"""The command `myd`, which hashes, remembers and verifies, beside curl, which does not."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path

from bench.contenders.modelyard import Modelyard
from bench.load import client, curl, hub
from bench.load.curl import CURL, NOWHERE
from bench.load.payload import stamp
from bench.metrics import Metrics
from bench.stage import Contender, Stage

LOOPED = 10  # of so many files a loop of curl sends one: the rate is the same


def push(stage: Stage) -> list[Contender]:
    """One large file, with new content each time."""
    server, path, home = stage.modelyard(), stage.payload(stage.scale.put_mib), stage.folder("home")
    server.file("made")  # and with it the version

    def fresh(put: Callable[[str], Metrics]) -> Callable[[], Metrics]:
        serials = count()

        def run() -> Metrics:
            stamp(path)
            stage.forget_uploads()
            return server.server.watched(lambda: put(f"{next(serials)}"), size=path.stat().st_size)

        return run

    return [
        Contender("myd push", fresh(lambda serial: client.push(server, home, path, f"pushed-{serial}"))),
        Contender("curl -T", fresh(lambda serial: curl.put(server.file(f"put-{serial}"), path))),
    ]


def pull(stage: Stage) -> list[Contender]:
    """One large file, to the disk."""
    server, path, home = stage.modelyard(), stage.payload(stage.scale.put_mib), stage.folder("home")
    curl.put(server.file("large"), path)
    size, target = path.stat().st_size, server.file("large")

    def watched(get: Callable[[], Metrics]) -> Callable[[], Metrics]:
        return lambda: server.server.watched(get, size=size)

    by_curl = home / "curl"
    return [
        Contender("myd pull", watched(lambda: client.pull(server, home, "large", size))),
        Contender("curl, then SHA-256", watched(lambda: client.curl_to_disk(target, by_curl, size, digest=True))),
        Contender("curl", watched(lambda: client.curl_to_disk(target, by_curl, size, digest=False))),
    ]


def push_many(stage: Stage) -> list[Contender]:
    """A folder of small files, all new."""
    server, files, home = stage.modelyard(), stage.scale.hub_files, stage.folder("home")
    sent, serials = stage.folder("sent") / "files", count()
    server.file("made")

    def by_client() -> Metrics:
        hub.fill(sent, files)
        into = f"pushed-{next(serials)}"
        return server.server.watched(lambda: client.push_many(server, home, sent, into, files))

    def by_loop() -> Metrics:
        hub.fill(sent, files)
        paths = sorted(sent.glob("*/*"))[::LOOPED]
        prefix = f"looped-{next(serials)}"
        commands = [_put(server, path, f"{prefix}/{path.name}") for path in paths]
        return server.server.watched(lambda: client.loop(commands))

    contenders = [Contender("myd push", by_client), Contender("a loop of curl", by_loop)]
    if program := stage.hub():
        contenders.append(Contender("hf upload", lambda: _uploaded(server, program, sent, files, next(serials))))
    return contenders


def pull_many(stage: Stage) -> list[Contender]:
    """A folder of small files, to the disk."""
    server, files, home = stage.modelyard(), stage.scale.hub_files, stage.folder("home")
    sent = stage.folder("sent") / "files"
    hub.fill(sent, files)
    server.file("made")
    client.push_many(server, home, sent, "many", files)
    names = [path.relative_to(sent).as_posix() for path in sorted(sent.glob("*/*"))[::LOOPED]]
    commands = [_get(server, f"many/{name}") for name in names]
    return [
        Contender("myd pull", lambda: server.server.watched(lambda: client.pull_many(server, home, "many", files))),
        Contender("a loop of curl", lambda: server.server.watched(lambda: client.loop(commands))),
    ]


def _put(server: Modelyard, path: Path, name: str) -> list[str]:
    target = server.file(name)
    return [*CURL, *_headers(server), *NOWHERE, "--upload-file", str(path), target.url]


def _get(server: Modelyard, name: str) -> list[str]:
    return [*CURL, *_headers(server), *NOWHERE, server.file(name).url]


def _headers(server: Modelyard) -> list[str]:
    return [word for header in server.headers for word in ("--header", header)]


def _uploaded(server: Modelyard, program: Path, sent: Path, files: int, serial: int) -> Metrics:
    hub.fill(sent, files)
    return server.server.watched(lambda: hub.upload(program, server, f"root/client-{serial}", sent, files))
