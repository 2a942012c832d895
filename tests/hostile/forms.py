"""Multipart forms by the letter of RFC 2046 section 5.1 and RFC 7578, read at once, and forms that are nearly that."""

from __future__ import annotations

import base64
import random
import re
from collections.abc import Callable
from email.message import Message

BOUNDARY = b"xYz"
FORM = f"multipart/form-data; boundary={BOUNDARY.decode()}"


def part(name: bytes, content: bytes, *headers: bytes) -> bytes:
    """One part with the delimiter line before it."""
    disposition = b'Content-Disposition: form-data; name="' + name + b'"; filename="x"'
    return b"\r\n".join([b"--" + BOUNDARY, disposition, *headers, b"", content, b""])


END = b"--" + BOUNDARY + b"--\r\n"


_DELIMITER = re.compile(rb"\r\n--" + BOUNDARY + rb"(--|[ \t]*\r\n)")


def file_of(body: bytes) -> bytes | None:
    """The content of the one part named `file`; None for what is no form, or has no such part or more than one.

    A part that is encoded (RFC 2045 section 6) has the content that it stands for, or none.
    A delimiter is a line break, the boundary, then white space and a line break, or `--` after the last part. What
    comes before the first and after the last is of no meaning.
    """
    body = b"\r\n" + body
    delimiter, files = _DELIMITER.search(body), list[bytes | None]()
    while delimiter is not None and delimiter[1] != b"--":
        start = delimiter.end()
        head_end = start if body.startswith(b"\r\n", start) else body.find(b"\r\n\r\n", start) + 2
        if head_end < start:
            return None
        delimiter = _DELIMITER.search(body, head_end + 2)
        if delimiter is not None and _is_file(body[start:head_end]):
            files.append(_decoded(_message(body[start:head_end]), body[head_end + 2 : delimiter.start()]))
    return files[0] if delimiter is not None and len(files) == 1 else None


def _is_file(head: bytes) -> bool:
    message = _message(head)
    disposition = message.get_content_disposition()
    parameters = dict(message.get_params([], header="content-disposition"))  # of several, the last counts
    return disposition == "form-data" and parameters.get("name") == "file"


def _message(head: bytes) -> Message:
    message = Message()
    for line in head.decode("latin-1").split("\r\n"):
        name, _, value = line.partition(":")
        if name.lower() == "content-disposition":
            del message[name]  # of several, the last counts
        if name.lower() in {"content-disposition", "content-transfer-encoding"}:
            message[name] = value.strip()
    return message


_BASE64 = re.compile(rb"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_QUOTED = re.compile(rb"(?:[!-<>-~]|[ \t](?!\r\n|\Z)|=[0-9A-Fa-f]{2}|=?\r\n)*")
_ESCAPE = re.compile(rb"=(\r\n|[0-9A-Fa-f]{2})")


def _decoded(message: Message, content: bytes) -> bytes | None:
    encoding = str(message.get("content-transfer-encoding", "binary")).lower()
    if encoding in {"7bit", "8bit", "binary", ""}:
        return content
    text = re.sub(rb"[\r\n \t]", b"", content)
    if encoding == "base64" and _BASE64.fullmatch(text):
        return base64.b64decode(text)
    if encoding == "quoted-printable" and _QUOTED.fullmatch(content):
        return _ESCAPE.sub(lambda escape: b"" if escape[1] == b"\r\n" else bytes.fromhex(escape[1].decode()), content)
    return None


def mutate(body: bytes, chance: random.Random) -> bytes:
    """The body with a few things gone wrong."""
    for _ in range(chance.randint(1, 3)):
        body = chance.choice(_MUTATIONS)(body, chance)
    return body


def _cut(body: bytes, chance: random.Random) -> bytes:
    return body[: chance.randrange(len(body) + 1)]


def _flip(body: bytes, chance: random.Random) -> bytes:
    if not body:
        return body
    at = chance.randrange(len(body))
    return body[:at] + bytes([body[at] ^ 1 << chance.randrange(8)]) + body[at + 1 :]


def _insert(*pieces: bytes) -> Callable[[bytes, random.Random], bytes]:
    def insert(body: bytes, chance: random.Random) -> bytes:
        at = chance.randrange(len(body) + 1)
        return body[:at] + chance.choice(pieces) + body[at:]

    return insert


def _drop(body: bytes, chance: random.Random) -> bytes:
    at, length = chance.randrange(len(body) + 1), chance.randint(1, 8)
    return body[:at] + body[at + length :]


def _repeat(body: bytes, chance: random.Random) -> bytes:
    at, length = chance.randrange(len(body) + 1), chance.randint(1, 60)
    return body[: at + length] + body[at:]


def _line_feeds(body: bytes, chance: random.Random) -> bytes:
    return body.replace(b"\r\n", b"\n", chance.randint(1, 4))


_MUTATIONS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _cut,
    _flip,
    _drop,
    _repeat,
    _line_feeds,
    _insert(
        b"\r\n--xYz\r\n", b"\r\n--xYz--\r\n", b"--xYz", b"\r\n--xY", b"\r\n--xYz-", b"\r\n--xYz \t\r\n", b"\r\n--xYzz"
    ),
    _insert(b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\0", b"-", b":"),
    _insert(part(b"note", b"n"), part(b"file", b"other"), b"X-Huge: " + b"h" * 9000 + b"\r\n"),
)
