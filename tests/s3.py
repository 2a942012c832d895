"""S3 servers for tests: moto within this process, and as real ones OpenStack Swift and s3rver."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.httpsession import URLLib3Session
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

from modelyard.blobs.s3 import parts
from modelyard.blobs.s3.bucket import Bucket
from modelyard.blobs.s3.connection import Connection, connect
from modelyard.blobs.s3.store import S3BlobStore

BUCKET = "models"
KINDS = ("data", "sha256", "tails", "orphans", "probes")


@dataclass(frozen=True)
class S3Server:
    """A running server with a bucket; the default credentials are those that `tests/swift.py` sets up."""

    endpoint: str
    access_key: str = "test:tester"
    secret_key: str = "testing"
    region: str = "us-east-1"
    tells_uploads: bool = True  # it lists unfinished uploads, and aborts them

    @property
    def environment(self) -> dict[str, str]:
        """The AWS variables by which clients find it."""
        return {
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": self.region,
            # Whatever the machine has is not meant for tests.
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def store(self, prefix: str, **options: float) -> S3BlobStore:
        """The store below a prefix of the bucket; all share one client, which takes long to make."""
        return S3BlobStore(self.bucket(prefix), **options)

    def bucket(self, prefix: str) -> Bucket:
        """The bucket below a prefix."""
        return Bucket(_connection(self), BUCKET, prefix)

    @contextmanager
    def as_environment(self) -> Iterator[None]:
        """Make it the server of whatever reads the AWS variables in the block."""
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("AWS_SESSION_TOKEN", raising=False)
            for name, value in self.environment.items():
                patch.setenv(name, value)
            yield

    def client(self) -> Any:
        """A client of the server itself."""
        return _connection(self).client

    def keys(self, prefix: str) -> list[str]:
        """The keys below a prefix, without it."""
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{prefix}/")
        return [each["Key"].removeprefix(f"{prefix}/") for page in pages for each in page.get("Contents", ())]

    def uploads(self, prefix: str) -> list[str]:
        """The keys of unfinished multipart uploads below a prefix, without it."""
        found = self.client().list_multipart_uploads(Bucket=BUCKET, Prefix=f"{prefix}/").get("Uploads", ())
        return [each["Key"].removeprefix(f"{prefix}/") for each in found]


@cache
def _connection(server: S3Server) -> Connection:
    with server.as_environment():
        return connect(None, "path")


@contextmanager
def running_moto() -> Iterator[S3Server]:
    """A server in a thread, with the bucket."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        found = S3Server(f"http://{host}:{port}")
        found.client().create_bucket(Bucket=BUCKET)
        yield found
    finally:
        server.stop()


def noted_requests(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The requests that this process sends to buckets from now on: their method, and the first folder of their key."""
    noted: list[tuple[str, str]] = []
    send, send_part = URLLib3Session.send, parts.send_part

    def noting(session: URLLib3Session, request: Any) -> Any:
        path = urlsplit(request.url).path
        noted.append((request.method, next((kind for kind in KINDS if f"/{kind}/" in path), "")))
        return send(session, request)

    def noting_part(*part: Any) -> Any:
        noted.append(("PUT", "data"))
        return send_part(*part)

    monkeypatch.setattr(URLLib3Session, "send", noting)
    monkeypatch.setattr(parts, "send_part", noting_part)
    return noted
