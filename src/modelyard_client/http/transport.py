"""Requests to one server, on connections that stay. The token goes to that server alone, whoever it refers to."""

from __future__ import annotations

import copy
import json
import re
import ssl
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple
from urllib.parse import unquote, urlencode, urljoin, urlsplit

import urllib3
from urllib3.exceptions import HTTPError, LocationParseError, ProtocolError, ProxyError, SSLError

from modelyard_client.credentials import Login
from modelyard_client.errors import ClientError, Refused, Unreachable, UsageMistake
from modelyard_client.http.connections import Connections
from modelyard_client.http.refusals import error_of
from modelyard_client.http.trying import (
    AWAY,
    MOST_RETRY_AFTER,
    PASSING,
    PATIENT_TRIES,
    TRIES,
    Telling,
    Tries,
    TryAgain,
    retry_after,
)
from modelyard_client.progress import Progress
from modelyard_client.stopping import Stop

API = "/api/v4"
CONNECT_SECONDS = 20.0  # to connect, and for each piece of a body to go out
STALL_SECONDS = 30.0  # without a byte of an answer
REDIRECTS = frozenset({301, 302, 303, 307, 308})
MOST_OF_REFUSAL = 64 * 1024
MOST_OF_ANSWER = 64 * 1024 * 1024  # a list of half a million files
OK = frozenset({200})
OBJECT = re.compile(r"^(<.*?>|\w+\(host=.*?\)): ")  # to which urllib3 says that something happened
NO_HEADERS: Mapping[str, str] = {}

Body = bytes | Iterable[bytes | memoryview]


class Answer(NamedTuple):
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 - whatever it is
        """What the body says. Raises Refused for what is no JSON, as a proxy's page."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise Refused(
                "The server answers with something else than JSON: is it a modelyard?", self.status
            ) from error


@contextmanager
def understood() -> Iterator[None]:
    """A block that takes an answer apart. Raises Refused for one of another shape, as another server's."""
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise Refused("The server answers with something else than was asked for: is it a modelyard?") from error


class Transport:
    """Asks one server, from any number of threads."""

    def __init__(
        self,
        login: Login,
        stop: Stop,
        connections: int = 16,
        progress: Progress = Progress(),  # noqa: B008 - it has no state
    ) -> None:
        self.base = login.url + API
        self.login = login
        self.stop = stop
        self.quickest = float("inf")  # seconds, from a request to its answer's head
        self._has_answered = False  # so that it is worth waiting for
        self._tell = Telling(progress)
        self._own = {"User-Agent": "myd", "Accept": "*/*"}
        self._identity = {"Authorization": f"Bearer {login.token}"} if login.token else {}
        self._connections = Connections(connections)

    def stopped_by(self, stop: Stop) -> Transport:
        """The same, on the same connections, which another stop ends."""
        other = copy.copy(self)
        other.stop = stop
        return other

    def tries(self) -> Tries:
        """A new count of tries."""
        return Tries(self.stop, tell=self._tell, away=PATIENT_TRIES if self._has_answered else TRIES)

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] = NO_HEADERS,
        body: Any = None,  # noqa: ANN401 - what is to be told in JSON
        ok: Collection[int] = OK,
    ) -> Answer:
        """Ask until there is an answer that is meant. Raises ClientError."""
        headers, content = {}, None
        if body is not None:
            headers, content = {"Content-Type": "application/json"}, json.dumps(body).encode()
        target = f"{path}?{urlencode(query)}" if query else path
        return self.until(lambda: self.once(method, target, headers=headers, body=content, ok=ok))

    def until(self, ask: Callable[[], Answer]) -> Answer:
        """The first answer that there is. Raises ClientError where nothing else comes than what may pass."""
        tries = self.tries()
        while True:
            try:
                return ask()
            except TryAgain as again:
                tries.failed(again)

    def once(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] = NO_HEADERS,
        body: Body | None = None,
        ok: Collection[int] = OK,
        seconds: float | None = None,
        below: str = API,
    ) -> Answer:
        """Ask once; `seconds`: how long the answer may take; `below`: what the path goes on from.

        Raises TryAgain for what may pass, else ClientError.
        """
        url = self.login.url + below + path
        response = self.open(method, url, headers=headers, body=body, seconds=seconds)
        try:
            content = response.read(MOST_OF_ANSWER if response.status in ok else MOST_OF_REFUSAL)
        except HTTPError as error:
            raise TryAgain(Unreachable(f"{self.login.url}: {_told(error)}"), away=True) from error
        finally:
            response.close()  # which leaves a connection to others whose answer was read to its end
        answer = Answer(response.status, response.headers, content)
        if response.status not in ok:
            raise self._refusal(answer, f"{method} {_shown(path)}")
        return answer

    def open(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] = NO_HEADERS,
        body: Body | None = None,
        seconds: float | None = None,
        foreign: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        """An answer whose body is not read yet. `foreign`: the URL is another host's, which gets no token.

        Raises TryAgain and ClientError.
        """
        self.stop.check()
        sent = {**self._own, **({} if foreign else self._identity), **headers}
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=seconds or STALL_SECONDS)
        begun = time.monotonic()
        try:
            response = self._connections.to(url).urlopen(
                method,
                url,
                body=body,
                headers=sent,
                retries=False,
                redirect=False,
                timeout=timeout,
                preload_content=False,
            )
        except LocationParseError as error:
            raise (Refused if foreign else UsageMistake)(f"{url!r} cannot be asked: {error}") from error
        except HTTPError as error:
            if isinstance(error, SSLError) and not _may_pass(error):
                raise ClientError(f"{self.login.url}: {_told(error)}") from error
            self.stop.check()
            raise TryAgain(Unreachable(f"{self.login.url}: {_told(error)}"), away=True) from error
        self.quickest = min(self.quickest, time.monotonic() - begun)
        self._has_answered |= response.status not in AWAY
        return response

    def download(self, path: str, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        """The answer to a GET of a file; where it leads to a bucket, the bucket's, which gets no token."""
        response = self.open("GET", self.base + path, headers=headers)
        if response.status in REDIRECTS:
            url = urljoin(self.base + path, response.headers.get("Location", ""))
            response.drain_conn()
            if urlsplit(url).scheme not in {"http", "https"}:
                raise Refused(f"The server leads to {url!r}", response.status)
            theirs = {name: value for name, value in headers.items() if name != "If-Range"}  # its ETags are others
            response = self.open("GET", url, headers=theirs, foreign=True)
        return response

    def refusal(self, response: urllib3.BaseHTTPResponse, what: str) -> Exception:
        """What an answer that is not meant is to be raised as: TryAgain or a ClientError."""
        content = b""
        with suppress(HTTPError):
            content = response.read(MOST_OF_REFUSAL)
        response.close()
        return self._refusal(Answer(response.status, response.headers, content), what)

    def close(self) -> None:
        """Let go of all connections."""
        self._connections.clear()

    def _refusal(self, answer: Answer, what: str) -> Exception:
        wait = retry_after(answer.headers)
        if wait is not None and wait > MOST_RETRY_AFTER:
            what = f"{what}, to be asked again in {wait:.0f} s"
        error = error_of(answer.status, answer.body, what)
        if answer.status in REDIRECTS:
            error = Refused(f"The server is at {answer.headers.get('Location')!r} now ({what})", answer.status)
        return TryAgain(error, wait, away=answer.status in AWAY) if answer.status in PASSING else error


def _shown(path: str) -> str:
    return unquote(path.partition("?")[0])


def _told(error: Exception) -> str:
    """What urllib3 says of a failure, without the objects that it happened to."""
    if isinstance(error, ProxyError):
        return f"{error.args[0]}: {_told(error.original_error)}"
    cause = error.args[-1] if isinstance(error, ProtocolError) and error.args else error
    return OBJECT.sub("", str(cause))


def _may_pass(error: SSLError) -> bool:
    """Whether it was the line that broke: a certificate that is not valid is none the next time either."""
    cause = error.args[0] if error.args else None
    broken = isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError | ssl.SSLSyscallError)
    return broken or "BAD_RECORD_MAC" in str(cause)
