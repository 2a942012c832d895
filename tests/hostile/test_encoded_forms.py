"""Forms whose parts say that their bytes are not the file as it is: by curl, by Python's mail library, byte by byte.

What is stored is the file, or nothing.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable, Iterator
from email.mime.application import MIMEApplication
from email.mime.multipart import MIMEMultipart
from email.policy import HTTP
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.hostile.forms import END, FORM, part
from tests.hostile.wires import Reply, converse
from tests.live import LiveServer, running
from tests.programs import curl
from tests.raw import put_head
from tests.waiting import eventually

UNDECODABLE = {"message": "400 Bad request - A part of the form is not what its Content-Transfer-Encoding says"}
UNKNOWN = {"message": "400 Bad request - The Content-Transfer-Encoding of a part is not known"}
MALFORMED = {"message": "400 Bad request - The multipart form is malformed"}
SEVERAL = {"message": "400 Bad request - A part of the form holds several files, or none: send one, as it is"}
COMPRESSED = {"message": "415 Unsupported Media Type - Content-Encoding is not supported: send the bytes as they are"}
TOO_LARGE = {"message": "400 Bad request - Artifact file is too large"}
CONTENT = bytes(range(256)) * 40 + b"tail"


@pytest.fixture(autouse=True)
def nothing_is_left_behind(server: LiveServer) -> Iterator[None]:
    yield
    eventually(lambda: server.incoming() == [])


def encoded(content: bytes, encoding: str = "base64", width: int = 76) -> bytes:
    """A whole form with a file that is encoded."""
    plain = base64.b64encode(content)
    lines = b"\r\n".join(plain[i : i + width] for i in range(0, len(plain), width))
    return part(b"file", lines, b"Content-Transfer-Encoding: " + encoding.encode()) + END


def send(server: LiveServer, url: str, *pieces: bytes, chunked: bool = False, headers: tuple[str, ...] = ()) -> Reply:
    """The answer to an upload of a form in these pieces; something else is asked for behind it, and answered."""
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {sum(map(len, pieces))}"
    head = put_head(server, url, f"Content-Type: {FORM}", length, *headers)
    sent = [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces if piece] if chunked else list(pieces)
    last = [b"0\r\n\r\n"] if chunked else []
    said = converse(server.port, head, *sent, *last, b"GET /-/health HTTP/1.1\r\nHost: h\r\n\r\n", replies=2)
    reply, after = said.replies
    assert after.status == 200
    return reply


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("encoding", ["base64", "BASE64", "\t Base64 "])
def test_a_file_in_base64_is_stored_as_the_file(
    server: LiveServer, root: httpx2.Client, version_url: str, encoding: str, chunked: bool
) -> None:
    for content, width in ((b"", 76), (b"x", 76), (CONTENT, 76), (CONTENT, 1 << 20), (CONTENT[:50], 1)):
        assert send(server, f"{version_url}/f", encoded(content, encoding, width), chunked=chunked).status == 201
        assert root.get(f"{version_url}/f").content == content


def test_a_file_in_base64_is_stored_in_whatever_two_pieces_it_comes(
    server: LiveServer, root: httpx2.Client, version_url: str
) -> None:
    for cut in range(len(encoded(b"") + END) + 20):
        content = b"\xff\0" + b"%d" % cut
        form = encoded(content, width=4)
        assert send(server, f"{version_url}/f", form[:cut], form[cut:]).status == 201
        assert root.get(f"{version_url}/f").content == content


def test_a_large_file_in_base64_is_stored_as_the_file(
    server: LiveServer, root: httpx2.Client, version_url: str
) -> None:
    content = os.urandom(10_000_001)
    form = part(b"note", b"before") + encoded(content)
    assert send(server, f"{version_url}/f", form).status == 201
    assert root.get(f"{version_url}/f").content == content


@pytest.mark.parametrize("encoding", ["7bit", "8bit", "8BIT", "Binary"])
def test_bytes_that_say_to_be_themselves_are_stored_as_they_are(
    server: LiveServer, root: httpx2.Client, version_url: str, encoding: str
) -> None:
    content = b"QUJD=41=\r\n" + CONTENT
    form = part(b"file", content, f"Content-Transfer-Encoding: {encoding}".encode()) + END
    assert send(server, f"{version_url}/f", form).status == 201
    assert root.get(f"{version_url}/f").content == content


@pytest.mark.parametrize(
    ("headers", "content", "status", "refusal"),
    [
        ((b"Content-Transfer-Encoding: base64",), b"QUI", 400, UNDECODABLE),
        ((b"Content-Transfer-Encoding: base64",), b"QUJ%", 400, UNDECODABLE),
        ((b"Content-Transfer-Encoding: base64",), b"QQ==QQ==", 400, UNDECODABLE),
        ((b"Content-Transfer-Encoding: quoted-printable",), b"caf\xe9", 400, UNDECODABLE),
        ((b"Content-Transfer-Encoding: quoted-printable",), b"a \r\nb", 400, UNDECODABLE),
        ((b"Content-Transfer-Encoding: quoted-printable",), b"a=", 400, UNDECODABLE),
        ((b"Content-Transfer-Encoding: x-uuencode",), b"x", 400, UNKNOWN),
        ((b"Content-Transfer-Encoding: base64, 8bit",), b"QUJD", 400, UNKNOWN),
        ((b"Content-Transfer-Encoding: base64 (comment)",), b"QUJD", 400, UNKNOWN),
        ((b"Content-Transfer-Encoding: base64; charset=utf-8",), b"QUJD", 400, UNKNOWN),
        ((b"Content-Transfer-Encoding: base64", b"Content-Transfer-Encoding: 8bit"), b"QUJD", 400, MALFORMED),
        ((b"Content-Transfer-Encoding: 8bit", b"content-transfer-encoding: BASE64"), b"QUJD", 400, MALFORMED),
        ((b"Content-Transfer-Encoding:\r\n base64",), b"QUJD", 400, MALFORMED),
        ((b"X-Note: x\nContent-Transfer-Encoding: base64",), b"QUJD", 400, MALFORMED),
        ((b"Content-Transfer-Encoding : base64",), b"QUJD", 400, MALFORMED),
        ((b"Content-Type: multipart/mixed; boundary=c",), b"--c\r\n\r\nx\r\n--c--", 400, SEVERAL),
        ((b'Content-Type: Multipart/Digest; Boundary="c"',), b"x", 400, SEVERAL),
        ((b"Content-Type: multipart/mixed; boundary*=us-ascii''c",), b"x", 400, SEVERAL),
        ((b"Content-Type: multipart/mixed; boundary*0=c; boundary*1=d",), b"x", 400, SEVERAL),
        ((b"Content-Type: multipart/mixed; boundary*0*=''c",), b"x", 400, SEVERAL),
        ((b"Content-Type: message/external-body; access-type=URL",), b"x", 400, SEVERAL),
        ((b"Content-Type: message/partial; id=a; number=1",), b"x", 400, SEVERAL),
        ((b"Content-Encoding: gzip",), b"x", 415, COMPRESSED),
        ((b"Content-Range: bytes 0-0/9",), b"x", 400, None),
        ((b"Content-MD5: 1B2M2Y8AsgTpgAmY7PhCfg==",), b"x", 400, None),
        ((b"X-Checksum-Sha1: 11f6ad8ec52a2984abaafd7c3b516503785c2072",), b"x", 400, None),
    ],
)
def test_a_part_whose_bytes_are_not_the_file_is_refused(
    server: LiveServer,
    root: httpx2.Client,
    version_url: str,
    headers: tuple[bytes, ...],
    content: bytes,
    status: int,
    refusal: dict[str, str] | None,
) -> None:
    reply = send(server, f"{version_url}/f", part(b"file", content, *headers) + END)
    assert reply.status == status
    assert refusal is None or reply.json() == refusal
    assert root.get(f"{version_url}/f").status_code == 404


def test_other_parts_of_an_upload_may_be_anything(server: LiveServer, root: httpx2.Client, version_url: str) -> None:
    note = part(b"note", b"?", b"Content-Transfer-Encoding: x-odd", b"Content-Type: multipart/mixed; boundary=c")
    form = note + encoded(b"content").removesuffix(END) + note + END
    assert send(server, f"{version_url}/f", form).status == 201
    assert root.get(f"{version_url}/f").content == b"content"


@pytest.mark.parametrize("kind", ["message/rfc822", "multipart/related"])
def test_a_message_is_a_file_like_any_other(root: httpx2.Client, version_url: str, kind: str) -> None:
    stored = root.put(f"{version_url}/f", files={"file": ("saved", b"Subject: x\r\n\r\n", kind)})
    assert stored.status_code == 201
    assert root.get(f"{version_url}/f").content == b"Subject: x\r\n\r\n"


@pytest.mark.parametrize("of", ["file", "body"])
@pytest.mark.parametrize("right", [True, False])
def test_a_content_digest_is_of_the_file_or_of_the_form_that_wraps_it(
    server: LiveServer, version_url: str, of: str, right: bool
) -> None:
    form = encoded(CONTENT)
    covered = CONTENT if of == "file" else form
    digest = hashlib.sha256(covered if right else covered + b"x").digest()
    md5 = base64.b64encode(hashlib.md5(covered if right else b"").digest()).decode()
    for header in (f"Content-Digest: sha-256=:{base64.b64encode(digest).decode()}:", f"Content-MD5: {md5}"):
        assert send(server, f"{version_url}/f", form, headers=(header,)).status == (201 if right else 400)


def test_a_digest_of_the_file_is_of_the_decoded_one(server: LiveServer, version_url: str) -> None:
    for content, status in ((CONTENT, 201), (base64.b64encode(CONTENT), 400)):
        header = f"X-Checksum-Sha1: {hashlib.sha1(content).hexdigest()}"
        assert send(server, f"{version_url}/f", encoded(CONTENT, width=1 << 20), headers=(header,)).status == status


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server for files of up to 4 MiB."""
    with running(tmp_path_factory.mktemp("small"), max_file_size=4 << 20) as live:
        yield live


@pytest.fixture
def small_url(small: LiveServer) -> str:
    with small.client(small.root_token) as root:
        project = root.post("/projects", json={"name": f"p-{os.urandom(4).hex()}"}).json()["id"]
        base = f"/projects/{project}/ml/mlflow/api/2.0/mlflow"
        root.post(f"{base}/registered-models/create", json={"name": "m"})
        version = root.post(f"{base}/model-versions/create", json={"name": "m"}).json()["model_version"]["version"]
    return f"/projects/{project}/packages/ml_models/{version}/files"


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_the_limit_is_one_of_the_file_and_not_of_what_wraps_it(
    small: LiveServer, small_url: str, chunked: bool
) -> None:
    limit = small.settings.max_file_size
    assert send(small, f"{small_url}/f", encoded(bytes(limit)), chunked=chunked).status == 201
    reply = send(small, f"{small_url}/f", encoded(bytes(limit + 1)), chunked=chunked)
    assert (reply.status, reply.json()) == (400, TOO_LARGE)


def test_a_plain_file_over_the_limit_is_refused_where_it_begins(small: LiveServer, small_url: str) -> None:
    length = small.settings.max_file_size + (2 << 20)
    head = put_head(small, f"{small_url}/f", f"Content-Type: {FORM}", f"Content-Length: {length}")
    (reply,) = converse(small.port, head, part(b"file", b"x" * 100)[:-2], replies=1).replies
    assert (reply.status, reply.json()) == (400, TOO_LARGE)


def test_a_form_that_no_encoding_explains_is_refused_before_it_is_sent(small: LiveServer, small_url: str) -> None:
    length = 5 * small.settings.max_file_size + (1 << 20)
    head = put_head(
        small, f"{small_url}/f", f"Content-Type: {FORM}", f"Content-Length: {length}", "Expect: 100-continue"
    )
    (reply,) = converse(small.port, head, replies=1).replies
    assert (reply.status, reply.json()) == (400, TOO_LARGE)


def test_encoded_bytes_that_stand_for_nothing_end_soon(small: LiveServer, small_url: str) -> None:
    begun = part(b"file", b"", b"Content-Transfer-Encoding: base64")[:-2]
    head = put_head(small, f"{small_url}/f", f"Content-Type: {FORM}", "Transfer-Encoding: chunked")
    chunks = [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (begun, *[b"\r\n" * 30_000] * 3)]
    (reply,) = converse(small.port, head, *chunks, replies=1).replies
    assert (reply.status, reply.json()) == (400, UNDECODABLE)


def put_by_curl(server: LiveServer, url: str, *arguments: str, cwd: Path) -> tuple[int, str]:
    """Status and body of what curl's PUT is answered."""
    token = ("--header", f"Authorization: Bearer {server.root_token}")
    return curl(cwd, "--request", "PUT", *token, *arguments, server.api + url)


@pytest.mark.parametrize("encoder", ["base64", "quoted-printable", "binary", "8bit"])
def test_curl_may_encode_the_file(
    server: LiveServer, root: httpx2.Client, version_url: str, tmp_path: Path, encoder: str
) -> None:
    content = os.urandom(300_000) + b"\r\n two lines \t\r\n=\n\r"
    (tmp_path / "x").write_bytes(content)
    assert put_by_curl(server, f"{version_url}/f", "--form", f"file=@x;encoder={encoder}", cwd=tmp_path)[0] == 201
    assert root.get(f"{version_url}/f").content == content


def test_several_files_of_curl_in_one_part_are_refused(
    server: LiveServer, root: httpx2.Client, version_url: str, tmp_path: Path
) -> None:
    for name in "ab":
        (tmp_path / name).write_text(name)
    status, body = put_by_curl(server, f"{version_url}/f", "--form", "file=@a,b", cwd=tmp_path)
    assert (status, "holds several files" in body) == (400, True)
    assert root.get(f"{version_url}/f").status_code == 404


@pytest.mark.parametrize(
    "content_type", ["application/octet-stream", "multipart/mixed", "multipart/mixed; boundary*=''x"]
)
def test_a_form_of_another_type_is_not_stored_with_what_wraps_it(
    server: LiveServer, root: httpx2.Client, version_url: str, tmp_path: Path, content_type: str
) -> None:
    (tmp_path / "x").write_text("content")
    typed = ("--header", f"Content-Type: {content_type}", "--form", "file=@x")
    status, body = put_by_curl(server, f"{version_url}/f", *typed, cwd=tmp_path)
    assert (status, "multipart/form-data alone" in body) == (400, True)
    assert root.get(f"{version_url}/f").status_code == 404


@pytest.mark.parametrize(
    "content_type", ["text/boundary", "text/plain; boundary", "text/plain; x=boundary=y", "text/plain; boundaries=x"]
)
def test_a_type_without_a_boundary_is_that_of_a_file(root: httpx2.Client, version_url: str, content_type: str) -> None:
    assert root.put(f"{version_url}/f", content=b"x", headers={"Content-Type": content_type}).status_code == 201


def test_a_second_type_does_not_hide_the_form(server: LiveServer, root: httpx2.Client, version_url: str) -> None:
    form = part(b"file", b"content") + END
    for types in (("text/plain", FORM), (FORM, "text/plain")):
        head = put_head(
            server, f"{version_url}/f", *(f"Content-Type: {t}" for t in types), f"Content-Length: {len(form)}"
        )
        assert converse(server.port, head, form, replies=1).statuses == [400]
        assert root.get(f"{version_url}/f").status_code == 404


def as_mail(content: bytes) -> tuple[str, bytes]:
    """Content type and body of a form as Ansible's `uri` makes it, by Python's mail library."""
    form = MIMEMultipart("form-data")
    file = MIMEApplication(content)
    file.add_header("Content-Disposition", "form-data", name="file", filename="model.bin")
    form.attach(file)
    head, _, body = form.as_bytes(policy=HTTP).partition(b"\r\n\r\n")
    return next(line for line in head.decode().split("\r\n") if line.startswith("Content-Type")).partition(": ")[
        2
    ], body


def test_a_form_made_as_mail_is_stored_as_the_file(root: httpx2.Client, version_url: str) -> None:
    content = os.urandom(100_000)
    content_type, body = as_mail(content)
    assert b"Content-Transfer-Encoding: base64" in body
    stored = root.put(f"{version_url}/f", content=body, headers={"Content-Type": content_type})
    assert stored.status_code == 201
    assert stored.headers["etag"] == f'"{hashlib.sha256(content).hexdigest()}"'
    assert root.get(f"{version_url}/f").content == content


def test_mlflows_uploads_know_encoded_forms_too(
    root: httpx2.Client, make_project: Callable[..., dict[str, Any]], make_run: Callable[..., dict[str, Any]]
) -> None:
    project = make_project()["id"]
    url = f"/projects/{project}/ml/mlflow/api/2.0/mlflow-artifacts/artifacts/candidate:{make_run(project)['iid']}/f"
    headers = {"Content-Type": FORM}
    assert root.put(url, content=encoded(CONTENT), headers=headers).status_code == 200
    assert root.get(url).content == CONTENT
    refused = root.put(url, content=part(b"file", b"x", b"Content-Encoding: br") + END, headers=headers)
    assert (refused.status_code, refused.json()["error_code"]) == (415, "INVALID_PARAMETER_VALUE")


@pytest.mark.parametrize(
    ("encoding", "status"),
    [("base64", 400), ("Quoted-Printable", 400), ("base64, 8bit", 400), ("binary", 201), ("8BIT", 201)],
)
def test_a_body_that_is_no_form_is_not_encoded_as_mail(
    root: httpx2.Client, version_url: str, encoding: str, status: int
) -> None:
    answer = root.put(f"{version_url}/f", content=b"QUJD", headers={"Content-Transfer-Encoding": encoding})
    assert answer.status_code == status
    assert status == 201 or "only supported in a part of a form" in answer.json()["message"]
    assert root.get(f"{version_url}/f").status_code == (200 if status == 201 else 404)


@pytest.mark.parametrize(
    ("value", "encoding", "expected"),
    [
        (b"YSBkw6ltbw==", b"base64", "a démo"),
        (b"a d=C3=A9mo", b"Quoted-Printable", "a démo"),
        (b"YSBkw6ltbw==", b"binary", "YSBkw6ltbw=="),
    ],
)
def test_a_parameter_may_be_encoded_too(root: httpx2.Client, value: bytes, encoding: bytes, expected: str) -> None:
    field = b'--xYz\r\nContent-Disposition: form-data; name="name"\r\nContent-Transfer-Encoding: ' + encoding
    path = b'--xYz\r\nContent-Disposition: form-data; name="path"\r\n\r\np-' + os.urandom(4).hex().encode()
    form = field + b"\r\n\r\n" + value + b"\r\n" + path + b"\r\n" + END
    made = root.post("/projects", content=form, headers={"Content-Type": FORM})
    assert (made.status_code, made.json()["name"]) == (201, expected)


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (b"Content-Transfer-Encoding: base64", 400),
        (b"Content-Transfer-Encoding: x-odd", 400),
        (b"Content-Encoding: gzip", 415),
        (b"Content-Type: multipart/mixed; boundary=c", 400),
    ],
)
def test_a_parameter_that_is_not_what_it_says_is_refused(root: httpx2.Client, header: bytes, status: int) -> None:
    form = b'--xYz\r\nContent-Disposition: form-data; name="name"\r\n' + header + b"\r\n\r\nde-mo\r\n" + END
    assert root.post("/projects", content=form, headers={"Content-Type": FORM}).status_code == status
