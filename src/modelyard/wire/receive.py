"""Receiving a file: a multipart form with a part named `file`, or any other body as the bytes themselves.

Nothing is spooled: the pieces of the file are passed on as they arrive. GitLab's documentation shows the form; MLflow,
`curl -T` and GitLab's own front end send the bare bytes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping

from modelyard.errors import BadRequest
from modelyard.terms.digests import DigestCheck
from modelyard.wire.form import FileForm, Piece, TruncatedBody, boundary_of
from modelyard.wire.parts import has_boundary

FORM_OVERHEAD_BYTES = 1024 * 1024  # more than any form adds to its file


def is_form(content_type: str | None) -> bool:
    """Whether a body of that type is a form that carries the file as a part."""
    return content_type is not None and content_type.split(";")[0].strip().lower() == "multipart/form-data"


def refuse_unnamed_form(content_type: str | None) -> None:
    """Raise BadRequest for a body in parts that does not say to be a form: what frames them would become the file.

    It is what `curl -F` sends where the user gives a `Content-Type` of his own.
    """
    if content_type is None or "boundary" not in content_type.lower() or is_form(content_type):
        return
    if has_boundary(content_type):
        raise BadRequest("A body in parts is taken as multipart/form-data alone")


def file_pieces(
    body: AsyncIterator[bytes],
    content_type: str | None,
    whole_body: DigestCheck | None = None,
    begins: Callable[[int], None] | None = None,
) -> AsyncIterator[Piece]:
    """The bytes of the file in a request body, in order.

    `whole_body` is fed with the body as sent, form and all, and `begins` told at which of its bytes the file begins,
    if that is not the first one. Raises MalformedForm, TruncatedBody, and ParameterError for a form without a file or
    with two.
    """
    if is_form(content_type):
        return _form_pieces(body, boundary_of(content_type or ""), whole_body, begins)
    return _raw_pieces(body)


class NamingForm:
    """A form that says itself what its file is called, as browsers send it: its head is read first, then the file."""

    def __init__(self, body: AsyncIterator[bytes], content_type: str | None) -> None:
        self._body = body
        self._form = FileForm(boundary_of(content_type or ""))
        self._begun: list[Piece] = []

    async def head(self) -> tuple[str, Mapping[str, str]]:
        """The file's name, empty where none was chosen, and the fields before it.

        Raises MalformedForm, TruncatedBody, and ParameterError for a form without a file.
        """
        while self._form.file_name is None:
            chunk = await anext(self._body, None)
            if chunk is None:
                self._form.finish()
                raise TruncatedBody
            self._begun += self._form.feed(chunk)
        return self._form.file_name, {name: text.decode(errors="replace") for name, text in self._form.fields.items()}

    async def pieces(self) -> AsyncIterator[Piece]:
        """The bytes of the file, after `head`. Raises as `file_pieces` does."""
        begun, self._begun = self._begun, []
        while begun:
            yield begun.pop(0)
        async for chunk in self._body:
            for piece in self._form.feed(chunk):
                yield piece
        self._form.finish()


async def _raw_pieces(body: AsyncIterator[bytes]) -> AsyncIterator[Piece]:
    async for chunk in body:
        yield chunk


async def _form_pieces(
    body: AsyncIterator[bytes],
    boundary: bytes,
    whole_body: DigestCheck | None,
    begins: Callable[[int], None] | None,
) -> AsyncIterator[Piece]:
    form = FileForm(boundary, begins)
    async for chunk in body:
        if whole_body is not None:
            whole_body.update(chunk)
        for piece in form.feed(chunk):
            yield piece
    form.finish()
