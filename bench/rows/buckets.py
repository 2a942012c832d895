"""Large files through a server whose blobs are in a bucket, beside one that has them in a folder, and bare servers.

The bucket is moto's, in memory, on the clients' core: what is worth comparing is the server's CPU, not the speed.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from bench.contenders.modelyard import Modelyard
from bench.contenders.s3 import S3
from bench.contenders.target import FileServer
from bench.load import curl
from bench.load.payload import stamp
from bench.load.transfers import all_at_once, download
from bench.machine import CLIENT_CORES, pinned
from bench.metrics import SPEED, Metrics
from bench.stage import Contender, Stage


def downloads(stage: Stage) -> list[Contender]:
    """One file, by a client that does nothing but receive it."""
    path = stage.payload(stage.scale.put_mib)

    def downloading(name: str, server: Modelyard) -> Contender:
        target, size = server.file(path.name), path.stat().st_size
        curl.put(target, path)

        def receive() -> Metrics:
            with pinned(CLIENT_CORES):
                return {SPEED: all_at_once([download(target)])[0]}

        return Contender(name, lambda: server.server.watched(receive, size=size))

    return [downloading(*each) for each in _servers(stage, stage.bucket())]


def uploads(stage: Stage) -> list[Contender]:
    """One file as the body, each with new content."""
    path, serials, bucket = stage.payload(stage.scale.put_mib), count(), stage.bucket()

    def uploading(name: str, server: FileServer, file: str = "uploaded") -> Contender:
        size = path.stat().st_size

        def run() -> Metrics:
            stamp(path)
            stage.forget_uploads()
            target = server.file(f"{file}-{next(serials)}")
            return server.server.watched(lambda: curl.put(target, path), size=size)

        return Contender(name, run)

    bare = stage.floor(bucket=bucket)
    return [
        *(uploading(*each) for each in _servers(stage, bucket)),
        uploading("bare: received, hashed and sent to a bucket by one loop", bare, "sent"),
        uploading("bare: the same by threads, parts sent while others come", bare, "passed"),
    ]


def _servers(stage: Stage, bucket: S3) -> Iterator[tuple[str, Modelyard]]:
    yield "in a bucket", stage.on_bucket(bucket)
    yield "in a folder", stage.modelyard()
