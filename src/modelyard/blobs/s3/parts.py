"""Parts of uploads, sent as botocore sent one before: to the same place, by the same rules, with a signature each.

botocore takes 1 to 2 ms of CPU for a request and its answer, most of them to find out anew what is as it was; a GiB has
128 parts. Here one takes a tenth of that. Only the good case is done here: whatever else happens to a part, botocore
sends it once more, by its rules for retries, redirects and errors, and what it sends then is what others follow.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self
from urllib.parse import quote, urlsplit

from botocore.exceptions import BotoCoreError
from urllib3.exceptions import HTTPError

from modelyard.blobs.s3.bodies import Body
from modelyard.blobs.s3.lines import send_all
from modelyard.blobs.s3.plain_answer import PlainAnswer

FAILURES = 3  # in a row, each behind a part that botocore sent well: this server minds the difference

_UNSIGNED = "UNSIGNED-PAYLOAD"
_METHOD = "AWS4-HMAC-SHA256"
_MADE_ANEW = frozenset(
    {"authorization", "content-length", "host", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token"}
)
_SIGNED_HEADERS = _MADE_ANEW - {"authorization", "content-length"}
_OF_ITS_OWN = frozenset({"amz-sdk-invocation-id", "amz-sdk-request"})  # counts its attempts, and is not signed
_USER_AGENT = "user-agent"


@dataclass(frozen=True, slots=True)
class Example:
    """What a request of botocore's tells of all that are like it: its URL up to the key, and what it is signed for."""

    scheme: str
    host: str
    path: str  # up to the key
    agent: str
    region: str
    service: str

    @classmethod
    def of(cls, request: Any, key: str) -> Self | None:  # noqa: ANN401 - botocore's
        """What a request tells that has put a part to a key; None where there is more to it than is known here."""
        headers = {name.lower(): _text(value) for name, value in request.headers.items()}
        url, signing, quoted = urlsplit(request.url), request.context.get("signing", {}), _quoted(key)
        region, service = signing.get("region"), signing.get("signing_name")
        method, _, signature = headers.get("authorization", "").partition(" ")
        _, _, signed = signature.partition("SignedHeaders=")
        if (
            headers.keys() - _MADE_ANEW - _OF_ITS_OWN - {_USER_AGENT}
            or headers.get("x-amz-content-sha256") != _UNSIGNED
            or method != _METHOD
            or not _SIGNED_HEADERS.issuperset(signed.partition(",")[0].split(";"))
            or not url.path.endswith(f"/{quoted}")
            or not (isinstance(region, str) and isinstance(service, str))
            or "@" in url.netloc
        ):
            return None
        path = url.path.removesuffix(quoted)
        return cls(url.scheme, url.netloc, path, headers.get(_USER_AGENT, ""), region, service)

    def head(self, credentials: Any, key: str, upload_id: str, number: int, length: int, now: float) -> bytes:  # noqa: ANN401 - botocore's
        """The head of the request for one part, signed at a moment (SigV4, which leaves the body out)."""
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
        path, query = self.path + _quoted(key), f"partNumber={number}&uploadId={quote(upload_id, safe='-._~')}"
        signed = {"host": self.host, "x-amz-content-sha256": _UNSIGNED, "x-amz-date": moment}
        if credentials.token:
            signed["x-amz-security-token"] = credentials.token
        lines, names = "".join(f"{name}:{value}\n" for name, value in signed.items()), ";".join(signed)
        canonical = f"PUT\n{path}\n{query}\n{lines}\n{names}\n{_UNSIGNED}"
        scope = f"{moment[:8]}/{self.region}/{self.service}/aws4_request"
        text = f"{_METHOD}\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        signature = hmac.digest(_signing_key(credentials.secret_key, scope), text.encode(), "sha256").hex()
        headers = signed | {
            "user-agent": self.agent,
            "content-length": length,
            "authorization": f"{_METHOD} Credential={credentials.access_key}/{scope}, "
            f"SignedHeaders={names}, Signature={signature}",
        }
        told = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"PUT {path}?{query} HTTP/1.1\r\n{told}\r\n".encode()


class Parts:
    """Sends parts to one bucket, in any number of threads; does nothing until it has an example to follow."""

    def __init__(self, client: Any, credentials: Any) -> None:  # noqa: ANN401 - botocore's
        self._client = client
        self._credentials = credentials
        self._following: tuple[Example, Any] | None = None  # and the connections to where it is sent
        self._failures = 0

    def follow(self, body: Body, key: str) -> None:
        """Take the request by which botocore has just sent a part as an example, as far as it is one."""
        request, body.request = body.request, None
        if request is None or self._failures >= FAILURES or self._credentials is None:
            return
        with suppress(AttributeError, ValueError):  # of another botocore, or another server than is known here
            example = Example.of(request, key)
            pool = example and self._pool(request.url)
            self._following = (example, pool) if example and pool is not None else None

    def send(self, key: str, upload_id: str, number: int, body: Body) -> tuple[bool, str | None]:
        """Whether the part has gone well, and its ETag, which a server may leave out; else botocore is to send it."""
        following = self._following
        if following is None:
            return False, None
        example, pool = following
        with suppress(OSError, HTTPError, BotoCoreError, ValueError, AttributeError):  # what it is, botocore tells
            credentials = self._credentials.get_frozen_credentials()
            answer = send_part(pool, example.head(credentials, key, upload_id, number, len(body), time.time()), body)
            if answer.is_success:
                self._failures = 0
                return True, answer.headers.get("etag")
        if self._following is following:  # those that are sent at once fail at once, and count as one
            self._following = None
            self._failures += 1
        return False, None

    def _pool(self, url: str) -> Any | None:  # noqa: ANN401 - urllib3's
        """The connections that botocore has to a server, as it sets them up; None where a proxy is between."""
        session = self._client._endpoint.http_session
        if session._proxy_config.proxy_url_for(url) is not None:
            return None
        pool = session._get_connection_manager(url).connection_from_url(url)
        session._setup_ssl_cert(pool, url, session._verify)
        return pool


def send_part(pool: Any, head: bytes, body: Body) -> PlainAnswer:  # noqa: ANN401 - urllib3's
    """Send a part on a connection of a pool, and read the answer. Raises OSError, ValueError and what urllib3 does."""
    connection = pool._get_conn()
    keeps = False
    try:
        if connection.is_closed:
            connection.timeout = pool.timeout.connect_timeout
            connection.connect()
        line = connection.sock
        send_all(line, [head, *body], pool.timeout.read_timeout)
        line.settimeout(pool.timeout.read_timeout)
        answer = PlainAnswer.read(line)
        keeps = answer.keeps_connection
        return answer
    finally:
        if not keeps:
            connection.close()
        pool._put_conn(connection)


@lru_cache(maxsize=8)
def _signing_key(secret: str, scope: str) -> bytes:
    """The key of a day, a region and a service (SigV4)."""
    key = f"AWS4{secret}".encode()
    for step in scope.split("/"):
        key = hmac.digest(key, step.encode(), "sha256")
    return key


def _quoted(key: str) -> str:
    """A key as botocore has it in URLs."""
    return quote(key, safe="/~")


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value
