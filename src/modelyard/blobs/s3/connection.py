"""The way to an S3 server: boto3's client, set up for servers of every make, and whose credentials it uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

Addressing: TypeAlias = Literal["auto", "path", "virtual"]

CONNECTIONS = 64
CONNECT_SECONDS = 5
SILENCE_SECONDS = 60  # a server that has not sent a byte for so long is gone
ATTEMPTS = 4
DEFAULT_REGION = "us-east-1"  # servers that know no regions call themselves so


@dataclass(frozen=True, slots=True)
class Connection:
    """A client, for any number of threads, and botocore's credentials, None where there are none."""

    client: Any
    credentials: Any

    def secret(self) -> bytes | None:
        """The secret key, the same for all who share it; None where there is none, or one that is soon replaced."""
        if self.credentials is None:
            return None
        frozen = self.credentials.get_frozen_credentials()
        return None if frozen.token else str(frozen.secret_key).encode()


def connect(region: str | None, addressing: Addressing) -> Connection:
    """Set up a client by the AWS variables and files; asks nobody yet. Raises ValueError where they cannot be used."""
    try:
        return _connect(region, addressing)
    except (BotoCoreError, OSError) as error:  # a profile that is none, files that cannot be read, half a credential
        raise ValueError(str(error)) from error


def _connect(region: str | None, addressing: Addressing) -> Connection:
    session = boto3.Session()
    client = session.client(
        "s3",
        region_name=region or session.region_name or DEFAULT_REGION,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": addressing},
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            connect_timeout=CONNECT_SECONDS,
            read_timeout=SILENCE_SECONDS,
            max_pool_connections=CONNECTIONS,
            tcp_keepalive=True,
            # Checksums in trailers, the default, are newer than most servers.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
    return Connection(client, session.get_credentials())
