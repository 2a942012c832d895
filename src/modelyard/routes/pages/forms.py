"""Forms that browsers send, and what of them is shown again where it is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar
from urllib.parse import parse_qsl

from starlette.requests import Request

from modelyard.errors import ApiError, ParameterError, UnsupportedMediaType
from modelyard.routes.http.bodies import FORM_TYPES, bodies_of
from modelyard.routes.http.params import LONG_BODY_BYTES, Parameters, validate

M = TypeVar("M", bound=Parameters)

MAX_FIELDS = 1000


class Form(Mapping[str, str]):
    """The fields of a form; of those that are there several times, the last."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self.pairs = pairs
        self._values = dict(pairs)

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def text(self, name: str) -> str:
        """A field's text without blanks around it; empty where it is not there."""
        return self._values.get(name, "").strip()

    def all(self, name: str) -> list[str]:
        """The texts of a field that may be there several times, such as check boxes."""
        return [value for each, value in self.pairs if each == name]

    def read(self, model: type[M]) -> M:
        """The fields as a model of the API's, without those that are empty. Raises ParameterError."""
        return validate(model, {name: value for name, value in self.items() if value != ""})


async def read_form(request: Request, limit: int | None = None) -> Form:
    """The form in a request, of at most `limit` bytes (by default as many as a long text may take).

    Raises UnsupportedMediaType for what is no form, BodyTooLarge, RequestTimeout, Unavailable and ParameterError.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type not in ("", FORM_TYPES[0]):
        raise UnsupportedMediaType("Pages take forms as application/x-www-form-urlencoded")
    return await bodies_of(request).read_raw(request, _parsed, limit or LONG_BODY_BYTES)


def _parsed(body: bytes) -> Form:
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, encoding="utf-8", errors="strict", max_num_fields=MAX_FIELDS
        )
    except ValueError as error:
        raise ParameterError("The form is malformed") from error
    if any("\0" in text for pair in pairs for text in pair):
        raise ParameterError("The form is malformed")
    return Form([(name, value.replace("\r\n", "\n")) for name, value in pairs])


def sentence(error: ApiError) -> str:
    """What a refusal says, for a person: without the status in front."""
    body = error.body
    said = body.get("error_description") or body.get("message") or body.get("error") or "It was refused."
    return told(said)


def told(said: object) -> str:
    """GitLab's message, or reasons by field, as a sentence."""
    if isinstance(said, Mapping):
        parts = (f"{str(field).replace('_', ' ')} {reason}" for field, reasons in said.items() for reason in reasons)
        text = "; ".join(parts)
    else:
        text = str(said)
        head, dash, reason = text.partition(" - ")
        if dash and head[:3].isdigit():
            text = reason
    return text[:1].upper() + text[1:]
