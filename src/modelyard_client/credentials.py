"""Whose token goes to which host: what the environment says, else what `myd login` has kept, else netrc.

A token is never taken from the command line, where others on the machine can read it.
"""

from __future__ import annotations

import json
import netrc
import os
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from modelyard_client.errors import ClientError, NotIdentified, UsageMistake
from modelyard_client.local.places import credentials_path
from modelyard_client.local.private import write_private

URL, TOKEN, TOKEN_FILE = "MODELYARD_URL", "MODELYARD_TOKEN", "MODELYARD_TOKEN_FILE"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Login(NamedTuple):
    """A server's URL without a trailing slash, and a token for it; None: whoever asks is anonymous."""

    url: str
    token: str | None

    def __repr__(self) -> str:
        return f"Login(url={self.url!r})"  # whoever shows it does not mean to show the token


def server_url(text: str) -> str:
    """A server as people name it, as a URL; without a scheme https, or http on this machine. Raises UsageMistake."""
    url = text if "://" in text else f"//{text}"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise UsageMistake(f"{text!r} is no address of a server: {error}") from error
    scheme = parts.scheme or ("http" if parts.hostname in LOOPBACK else "https")
    if scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise UsageMistake(f"{text!r} is no address of a server")
    if parts.username is not None or parts.password is not None:
        raise UsageMistake("The address of a server has no user and no token in it: use `myd login`")
    path = parts.path.rstrip("/").removesuffix("/api/v4")
    return f"{scheme}://{parts.netloc.lower()}{path}"


class Credentials:
    """The file of tokens: `{"default": url, "hosts": {url: {"token": …, "username": …}}}`."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or credentials_path()

    def find(self, host: str | None = None) -> Login:
        """The server that is meant, and the token for it. Raises UsageMistake, NotIdentified and ClientError."""
        token, named = _token_of_environment(), host or os.environ.get(URL)
        if token and named:  # the file, which may be another user's in a container, is not asked
            return Login(server_url(named), token)
        kept = self._read()
        chosen = named or kept["default"]
        if not chosen:
            raise UsageMistake(f"No server is known: `myd login HOST`, --host or {URL}")
        url = server_url(chosen)
        return Login(url, token or _kept(kept, url) or _token_of_netrc(url))

    def keep(self, login: Login, username: str) -> None:
        """Remember a token, and its server as the one that is meant. Raises ClientError."""
        kept = self._read()
        kept["hosts"][login.url] = {"token": login.token, "username": username}
        kept["default"] = login.url
        self._write(kept)

    def forget(self, url: str) -> bool:
        """Forget a server's token; whether there was one. Raises ClientError."""
        kept = self._read()
        found = kept["hosts"].pop(url, None) is not None
        if kept["default"] == url:
            kept["default"] = next(iter(kept["hosts"]), None)
        if found:
            self._write(kept)
        return found

    def _read(self) -> dict[str, Any]:
        try:
            kept = json.loads(self.path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return {"default": None, "hosts": {}}
        except (OSError, ValueError) as error:
            raise ClientError(f"{self.path} cannot be read: {error}") from error
        if not isinstance(kept, dict) or not isinstance(kept.get("hosts"), dict):
            raise ClientError(f"{self.path} is not a file of tokens")
        default = kept.get("default")
        return {"default": default if isinstance(default, str) else None, "hosts": kept["hosts"]}

    def _write(self, kept: dict[str, Any]) -> None:
        try:
            write_private(self.path, json.dumps(kept, indent=2).encode())
        except OSError as error:
            raise ClientError(f"{self.path} cannot be written: {error}") from error


def require_token(text: str) -> str:
    """A token as it came, without the white space around it. Raises NotIdentified for what is none."""
    token = text.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise NotIdentified("That is no token")
    return token


def _token_of_environment() -> str | None:
    if token := os.environ.get(TOKEN):
        return require_token(token)
    if path := os.environ.get(TOKEN_FILE):
        try:
            return require_token(Path(path).read_text())
        except (OSError, UnicodeDecodeError) as error:
            raise NotIdentified(f"{TOKEN_FILE} cannot be read: {error}") from error
    return None


def _kept(kept: dict[str, Any], url: str) -> str | None:
    entry = kept["hosts"].get(url)
    token = entry.get("token") if isinstance(entry, dict) else None
    return token if isinstance(token, str) else None


def _token_of_netrc(url: str) -> str | None:
    """The password of the host in `~/.netrc`, or where NETRC says; its `default` is for nobody in particular."""
    try:
        path = Path(os.environ.get("NETRC") or Path.home() / ".netrc")
        found = netrc.netrc(path).hosts.get(urlsplit(url).hostname or "")
    except (OSError, netrc.NetrcParseError, UnicodeDecodeError, RuntimeError):  # the last: nobody knows of a home
        return None
    return found[2] if found and found[2] else None
