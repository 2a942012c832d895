"""An OpenID provider of the tests' own, that says whatever a test wants: for what no real provider would send."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

from tests.issuers import DISCOVERY, JWKS, FakeIssuer

CLIENT, SECRET = "modelyard", "the secret: of/the client"


@dataclass
class FakeProvider:
    """Hands out codes, holds PKCE and the client's secret, and signs claims."""

    issuer: FakeIssuer = field(default_factory=FakeIssuer)
    document: dict[str, Any] = field(default_factory=dict)  # beside what discovery has anyway; None takes away
    userinfo: dict[str, Any] = field(default_factory=dict)  # beside the subject of the last id token
    subject: Any = None
    codes: dict[str, tuple[dict[str, str], str]] = field(default_factory=dict)  # what was asked, and the id token
    faults: list[str] = field(default_factory=list)  # of requests to the token endpoint
    down: bool = False
    public: bool = False  # its client has no secret, and must send none
    given: Any = None  # for any code, in place of what belongs to it; bytes as they are
    asked: int = 0  # GETs

    @property
    def url(self) -> str:
        return self.issuer.url

    def code(self, asked: dict[str, str], **claims: Any) -> str:
        """A code for an id token of the claims, by what the browser was sent with."""
        told = {"sub": "subject-1", "aud": CLIENT, "nonce": asked.get("nonce"), "jti": None, "nbf": None}
        code = secrets.token_urlsafe(16)
        self.subject = (told | claims)["sub"]
        self.codes[code] = (asked, self.issuer.sign(self.issuer.claims(**(told | claims))))
        return code

    def discovery(self) -> dict[str, Any]:
        told = {
            "issuer": self.url,
            "jwks_uri": self.url + JWKS,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "userinfo_endpoint": f"{self.url}/me",
            "end_session_endpoint": f"{self.url}/logout",
            "authorization_response_iss_parameter_supported": True,
        } | self.document
        return {name: value for name, value in told.items() if value is not None}

    def me(self) -> dict[str, Any]:
        return {"sub": self.subject} | self.userinfo

    def token(self, form: dict[str, str], authorization: str) -> tuple[int, Any]:
        """What the token endpoint answers."""
        asked, id_token = self.codes.pop(form.get("code", ""), ({}, ""))
        verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(verifier).decode().rstrip("=")
        sent = base64.b64decode(authorization.removeprefix("Basic ")).decode() if authorization else ""
        pair = [unquote(part) for part in sent.split(":")]
        by_form = (form.get("client_id"), form.get("client_secret"))
        known = by_form == (CLIENT, None) and not sent if self.public else (CLIENT, SECRET) in {by_form, tuple(pair)}
        if not known:
            self.faults.append("client")
        if asked.get("code_challenge") != challenge or asked.get("code_challenge_method") != "S256":
            self.faults.append("verifier")
        if form.get("redirect_uri") != asked.get("redirect_uri"):
            self.faults.append("redirect_uri")
        if not id_token or self.faults:
            return 400, {"error": "invalid_grant"}
        if self.given is not None:
            return 200, self.given
        return 200, {"id_token": id_token, "access_token": "an-access-token", "token_type": "Bearer"}


@contextmanager
def running_fake_provider() -> Iterator[FakeProvider]:
    """A provider until the block ends."""
    provider = FakeProvider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            provider.asked += 1
            known = {DISCOVERY: provider.discovery, JWKS: provider.issuer.jwks, "/me": provider.me}
            if provider.down or path not in known:
                self.say(503 if provider.down else 404, {})
            else:
                self.say(200, known[path]())

        def do_POST(self) -> None:
            form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
            self.say(*provider.token(form, self.headers.get("Authorization", "")))

        def say(self, status: int, body: Any) -> None:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    provider.issuer.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="provider")
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join(20)
        server.server_close()


def asked_in(location: str) -> dict[str, str]:
    """The parameters that a browser is sent to a provider with."""
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query, strict_parsing=True).items()}
