"""An issuer of id tokens of the tests' own, on a real socket; it signs by another library than the server's."""

from __future__ import annotations

import itertools
import json
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OKPKey, RSAKey

AnyKey = RSAKey | ECKey | OKPKey
Answer = Callable[[BaseHTTPRequestHandler], None]

DISCOVERY = "/.well-known/openid-configuration"
JWKS = "/keys"
_serial = itertools.count(1)


def rsa_key(key_id: str = "key-1", bits: int = 2048) -> RSAKey:
    return RSAKey.generate_key(bits, {"kid": key_id, "use": "sig", "alg": "RS256"})


# Made once: it takes a while.
KEY, OTHER_KEY = rsa_key(), rsa_key("key-2")


@dataclass
class FakeIssuer:
    """Serves discovery and keys; `answers` replaces what is at a path."""

    url: str = ""
    keys: list[AnyKey] = field(default_factory=lambda: [KEY])
    document: dict[str, Any] = field(default_factory=dict)  # beside what discovery has anyway
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def sign(self, claims: dict[str, Any], key: AnyKey | None = None, **header: Any) -> str:
        """A token of these claims, by the first key unless another is given."""
        signing = key or self.keys[0]
        told = {"alg": "RS256", "kid": signing.kid, "typ": "JWT"} | header
        shown = {name: value for name, value in told.items() if value is not None}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)  # of keys that are weak on purpose
            return str(jwt.encode(shown, claims, signing, algorithms=[shown["alg"]]))

    def claims(self, **changed: Any) -> dict[str, Any]:
        """What every token has; None takes a claim away."""
        now = int(time.time())
        told = {"iss": self.url, "iat": now, "nbf": now - 5, "exp": now + 300, "jti": f"jti-{next(_serial)}"} | changed
        return {name: value for name, value in told.items() if value is not None}

    def jwks(self) -> dict[str, Any]:
        return {"keys": [key.as_dict(private=False) for key in self.keys]}


def say(body: Any, status: int = 200, **headers: str) -> Answer:
    """What answers with JSON, or with bytes as they are."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(content)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content)

    return answer


@contextmanager
def running_issuer() -> Iterator[FakeIssuer]:
    """An issuer until the block ends."""
    issuer = FakeIssuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            issuer.asked.append(path)
            discovery = {"issuer": issuer.url, "jwks_uri": issuer.url + JWKS} | issuer.document
            plain = {DISCOVERY: say(discovery), JWKS: say(issuer.jwks())}
            answer = issuer.answers.get(path) or plain.get(path) or say({}, 404)
            with suppress(ConnectionError):  # whoever asked has heard enough
                answer(self)

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    issuer.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="issuer")
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        thread.join(20)
        server.server_close()
