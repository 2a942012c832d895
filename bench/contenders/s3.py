"""An S3 server: moto, which holds everything in memory and is there with the tools of the project."""

from __future__ import annotations

import http.client
import sys
from collections.abc import Mapping
from pathlib import Path

from bench.machine import Cores
from bench.process import HOST, Server, free_port

BUCKET = "models"


class S3:
    """A running server with an empty bucket."""

    def __init__(self, folder: Path, cores: Cores) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._port = free_port()
        program = str(Path(sys.executable).with_name("moto_server"))
        self.server = Server([program, f"--host={HOST}", f"--port={self._port}"], folder / "server.log", cores=cores)
        self.server.wait_until_ready(self._port, "/moto-api/")
        connection = http.client.HTTPConnection(HOST, self._port)
        connection.request("PUT", f"/{BUCKET}")
        connection.getresponse().read()
        connection.close()

    @property
    def url(self) -> str:
        """Where its bucket is."""
        return f"http://{HOST}:{self._port}/{BUCKET}"

    @property
    def settings(self) -> Mapping[str, str]:
        """What a modelyard is told of it."""
        return {
            "MODELYARD_BLOB_URL": f"s3://{BUCKET}/blobs",
            "AWS_ENDPOINT_URL_S3": f"http://{HOST}:{self._port}",
            "AWS_ACCESS_KEY_ID": "bench",
            "AWS_SECRET_ACCESS_KEY": "bench",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
