"""The way to an S3 server: boto3's client, set up for servers of every make, and whose credentials it uses."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Literal, TypeAlias

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from botocore.utils import parse_timestamp

from modelyard.blobs.s3.bodies import Body
from modelyard.blobs.s3.pages import LISTINGS

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
    core = botocore.session.get_session()
    core.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=_date)
    session = boto3.Session(botocore_session=core)
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
    client.meta.config.s3["payload_signing_enabled"] = True
    unsigned = client.meta.config.merge(Config(s3={**client.meta.config.s3, "payload_signing_enabled": False}))
    for operation in ("PutObject", "UploadPart"):
        client.meta.events.register(f"before-sign.s3.{operation}", partial(_sign_if_asked, unsigned))
    client.meta.events.register_last("before-call.s3", _send_at_once)
    client.meta.events.register("before-send.s3.UploadPart", _note)
    for listing in LISTINGS:
        client.meta.events.register(f"before-parse.s3.{listing.operation}", listing.require)
    return Connection(client, session.get_credentials())


def _sign_if_asked(unsigned: Config, request: Any, **_more: object) -> None:  # noqa: ANN401 - botocore's
    """Leave a body out of its request's signature, and unhashed, unless that is wanted."""
    if isinstance(request.body, Body) and not request.body.signed:
        request.context["client_config"] = unsigned


def _note(request: Any, **_more: object) -> None:  # noqa: ANN401 - botocore's
    """Leave a request with its body, for others to be sent like it."""
    if isinstance(request.body, Body):
        request.body.request = request


def _send_at_once(params: dict[str, Any], **_more: object) -> None:
    """Ask no server whether it would take a body: for files botocore does, and waits for whoever does not know that."""
    params["headers"].pop("Expect", None)


def _date(text: object) -> datetime | None:
    """A date of an answer; None for what is none, so that only those fail who need it."""
    try:
        found: datetime = parse_timestamp(text)
    except (ValueError, OverflowError):
        return None
    return found
