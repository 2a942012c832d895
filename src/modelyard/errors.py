"""The error catalogue: every refusal that modelyard answers with, in the envelope that GitLab uses for it.

ApiError
├── MessageError            {"message": "404 Not Found"}         GitLab's own errors
│   ├── BadRequest 400 (TooDear), Unauthorized 401, Forbidden 403, NotFound 404, ProjectNotFound 404, FileNotFound 404
│   ├── NotAllowed 405, RequestTimeout 408, Conflict 409, Gone 410, PreconditionFailed 412, BodyTooLarge 413
│   ├── UnsupportedMediaType 415, RangeNotSatisfiable 416, Locked 423, TooManyRequests 429, ChecksumMismatch 460
│   └── InternalError 500, Unavailable 503, InsufficientStorage 507
├── InvalidFields 400       {"message": {"path": ["has already been taken"]}}   a record that fails its rules
├── ParameterError 400      {"error": "file_name is invalid"}    parameters, routing
│   ├── UnknownRoute 404, MethodNotAllowed 405
├── TokenError              {"error": "invalid_token", "error_description": "…"}   OAuth (RFC 6750)
│   ├── TokenExpired 401, TokenRevoked 401, InsufficientScope 403
├── OAuthError              {"error": "invalid_grant", "error_description": "…"}   OAuth's endpoints (RFC 6749)
├── MLflowError             {"error_code": "…", "message": "…"}   MLflow's client acts on the code
│   └── InvalidValue 400, AlreadyExists 400, DoesNotExist 404
└── HubError                {"error": "…"}, X-Error-Code         Hugging Face's clients act on the code
    ├── RepositoryNotFound 404, RevisionNotFound 404, EntryNotFound 404, GatedRepository 403
    └── NotOffered 501
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

CHALLENGE = 'Bearer realm="modelyard"'
BASIC_CHALLENGE = 'Basic realm="modelyard", charset="UTF-8"'  # RFC 7617; for clients that do not ask anybody by it


class CommandError(Exception):
    """What keeps a command from being carried out, as one line for whoever runs it."""


class ShortRead(Exception):
    """What has been promised cannot be read to its end: the answer is cut short rather than wrong."""


class ApiError(Exception):
    """A refusal: HTTP status, JSON body and extra response headers."""

    status: int = 500

    def __init__(self, body: Mapping[str, object], headers: Mapping[str, str] | None = None) -> None:
        super().__init__(str(body))
        self.body = dict(body)
        self.headers = dict(headers or {})


class MessageError(ApiError):
    """GitLab's usual envelope: one `message` that repeats the status and may add a reason."""

    default: str = "500 Internal Server Error"

    def __init__(self, reason: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__({"message": f"{self.default} - {reason}" if reason else self.default}, headers)


class BadRequest(MessageError):
    """400 with a reason."""

    status = 400
    default = "400 Bad request"

    @classmethod
    def plain(cls, sentence: str) -> Self:
        """With the bare sentence as message, as GitLab's MLflow endpoints have it."""
        error = cls()
        error.body["message"] = sentence
        return error


class TooDear(BadRequest):
    """400 for what takes too long to find: the same question would take as long again, so no client is to repeat it."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"Nothing was found within {seconds:g} seconds: ask for less at a time")


class Unauthorized(MessageError):
    """401: no credential where one is needed, or an unknown one."""

    status = 401
    default = "401 Unauthorized"

    def __init__(self) -> None:
        # RFC 9110 section 11.6.1 wants a challenge with every 401.
        super().__init__(headers={"WWW-Authenticate": CHALLENGE})


class Forbidden(MessageError):
    """403: the caller is known and may see the resource, but may not do this."""

    status = 403
    default = "403 Forbidden"


class NotFound(MessageError):
    """404 `404 Not Found`, or `404 <what> Not Found` when the kind of resource is named."""

    status = 404

    def __init__(self, what: str | None = None) -> None:
        self.default = f"404 {what} Not Found" if what else "404 Not Found"
        super().__init__()


class ProjectNotFound(NotFound):
    """404 for a project that is absent or invisible to the caller: the two are never told apart."""

    def __init__(self) -> None:
        super().__init__("Project")


class FileNotFound(MessageError):
    """404 for a file that the version does not have; GitLab writes this one with a lower-case f."""

    status = 404
    default = "404 Not found"


class NotAllowed(MessageError):
    """405 for a thing that the method is not meant for; GitLab's endpoints say so themselves, unlike its router."""

    status = 405
    default = "405 Method Not Allowed"

    def __init__(self) -> None:
        super().__init__(headers={"Allow": ""})  # RFC 9110 section 15.5.6 wants the header, also where nothing would do


class Conflict(MessageError):
    """409 with GitLab's bare sentence as message."""

    status = 409

    def __init__(self, sentence: str) -> None:
        self.default = sentence
        super().__init__()


class Gone(MessageError):
    """410 with a reason: it was there, and never will be again."""

    status = 410
    default = "410 Gone"


class PreconditionFailed(MessageError):
    """412 (RFC 9110 section 13)."""

    status = 412
    default = "412 Precondition Failed"


class TusVersion(PreconditionFailed):
    """412 of tus 1.0.0 for a request in another version of it, or in none."""

    def __init__(self, spoken: str) -> None:
        super().__init__(f"Tus-Resumable is not {spoken}", headers={"Tus-Version": spoken})


class BodyTooLarge(MessageError):
    """413: a request body, other than a file, that is larger than any legitimate one."""

    status = 413
    default = "413 Request Entity Too Large"


class RequestTimeout(MessageError):
    """408: a body that is held in memory did not come in time."""

    status = 408
    default = "408 Request Timeout"

    def __init__(self) -> None:
        super().__init__("The request body did not come", headers={"Connection": "close"})


class UnsupportedMediaType(MessageError):
    """415 with a reason: a body that is compressed. `Accept-Encoding` says what is taken (RFC 9110 section 15.5.16)."""

    status = 415
    default = "415 Unsupported Media Type"

    def __init__(self, reason: str) -> None:
        super().__init__(reason, headers={"Accept-Encoding": "identity"})


class RangeNotSatisfiable(MessageError):
    """416 with the size of the file in `Content-Range` (RFC 9110 section 15.5.17)."""

    status = 416
    default = "416 Range Not Satisfiable"

    def __init__(self, size: int) -> None:
        super().__init__(headers={"Content-Range": f"bytes */{size}", "Accept-Ranges": "bytes"})


class Locked(MessageError):
    """423 (RFC 4918 section 11.3): another request is at it; worth a retry."""

    status = 423
    default = "423 Locked"

    def __init__(self, reason: str, retry_after: int = 1) -> None:
        super().__init__(reason, headers={"Retry-After": str(retry_after)})


class TooManyRequests(MessageError):
    """429: the caller asks for more than its share; worth a retry after that many seconds."""

    status = 429
    default = "429 Too Many Requests"

    def __init__(self, reason: str, retry_after: int) -> None:
        super().__init__(reason, headers={"Retry-After": str(retry_after)})


class ChecksumMismatch(MessageError):
    """460 of tus 1.0.0: a piece of an upload is not what its sender has hashed, and nothing of it was kept."""

    status = 460
    default = "460 Checksum Mismatch"


class InternalError(MessageError):
    """500: a fault of the server or of its disk."""


class Unavailable(MessageError):
    """503: database or blob store cannot be used at the moment; worth a retry."""

    status = 503
    default = "503 Service Unavailable"

    def __init__(self, reason: str | None = None) -> None:
        super().__init__(reason, headers={"Retry-After": "5"})


class InsufficientStorage(MessageError):
    """507: no room left for the bytes or for their record."""

    status = 507
    default = "507 Insufficient Storage"


class InvalidFields(ApiError):
    """400 in the shape of a failed record: field names with the reasons against them."""

    status = 400

    def __init__(self, **reasons: str) -> None:
        super().__init__({"message": {field: [reason] for field, reason in reasons.items()}})


class ParameterError(ApiError):
    """400 `{"error": "name is missing"}`: a parameter that fails its declaration."""

    status = 400

    def __init__(self, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__({"error": sentence}, headers)


class UnknownRoute(ParameterError):
    """404 for a path that is no endpoint."""

    status = 404

    def __init__(self) -> None:
        super().__init__("404 Not Found")


class MethodNotAllowed(ParameterError):
    """405 for an endpoint that does not know the method; `Allow` lists those that it knows."""

    status = 405

    def __init__(self, allowed: str) -> None:
        super().__init__("405 Not Allowed", {"Allow": allowed})


class TokenError(ApiError):
    """OAuth's envelope for a credential that is recognised and refused (RFC 6750 section 3.1)."""

    code: str = "invalid_token"
    description: str

    def __init__(self, **extra: str) -> None:
        challenge = f'{CHALLENGE}, error="{self.code}", error_description="{self.description}"'
        headers = {"WWW-Authenticate": challenge} if self.status == Unauthorized.status else {}
        super().__init__({"error": self.code, "error_description": self.description, **extra}, headers)


class TokenExpired(TokenError):
    """401 for a token past its date."""

    status = 401
    description = "Token is expired. You can either do re-authorization or token refresh."


class TokenRevoked(TokenError):
    """401 for a token that its owner or an administrator revoked."""

    status = 401
    description = "Token was revoked. You have to re-authorize from the user."


class InsufficientScope(TokenError):
    """403 for a valid token whose scopes do not cover the request."""

    status = 403
    code = "insufficient_scope"
    description = "The request requires higher privileges than provided by the access token."

    def __init__(self, scope: str) -> None:
        super().__init__(scope=scope)


class OAuthError(ApiError):
    """The refusal of an endpoint that gives tokens (RFC 6749 section 5.2), 400 unless said; clients act on the code."""

    def __init__(
        self, code: str, description: str, status: int = 400, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(
            {"error": code, "error_description": description}, {"Cache-Control": "no-store"} | dict(headers or {})
        )
        self.code = code
        self.status = status


class MLflowError(ApiError):
    """MLflow's envelope; the client acts on `error_code` alone."""

    def __init__(self, error_code: str, message: str, status: int = 400) -> None:
        super().__init__({"error_code": error_code, "message": message})
        self.status = status


class InvalidValue(MLflowError):
    """400 for a value against the rules."""

    def __init__(self, message: str) -> None:
        super().__init__("INVALID_PARAMETER_VALUE", message)


class AlreadyExists(MLflowError):
    """400 for a name that is taken; MLflow's client then goes on with what is there."""

    def __init__(self, message: str) -> None:
        super().__init__("RESOURCE_ALREADY_EXISTS", message)


class DoesNotExist(MLflowError):
    """404 for what is not there."""

    def __init__(self, message: str) -> None:
        super().__init__("RESOURCE_DOES_NOT_EXIST", message, 404)


class HubError(ApiError):
    """Hugging Face's envelope; its clients act on the code, which is in a header."""

    code: str

    def __init__(self, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__({"error": sentence}, {"X-Error-Code": self.code, **(headers or {})})


class RepositoryNotFound(HubError):
    """404 for a repository that is absent or invisible to the caller: the two are never told apart."""

    status = 404
    code = "RepoNotFound"

    def __init__(self, sentence: str = "Repository not found") -> None:
        super().__init__(sentence)


class RevisionNotFound(HubError):
    """404 for a revision that a repository does not have."""

    status = 404
    code = "RevisionNotFound"

    def __init__(self, revision: str) -> None:
        super().__init__(f"Invalid rev id: {revision}")


class EntryNotFound(HubError):
    """404 for a file or folder that a commit does not have: with the commit, so that the client need not ask again.

    Also for an object, which is of no commit yet.
    """

    status = 404
    code = "EntryNotFound"

    def __init__(self, name: str, commit: str | None = None) -> None:
        super().__init__(f"Entry not found: {name}", {"X-Repo-Commit": commit} if commit is not None else {})


class UploadNotFound(HubError):
    """404 for a right to send that there never was, or whose time is over."""

    status = 404
    code = "UploadNotFound"

    def __init__(self) -> None:
        super().__init__("There is no such upload, or its time is over: ask for it again")


class GatedRepository(HubError):
    """403 for a repository that the caller may see, but not read."""

    status = 403
    code = "GatedRepo"


class NotOffered(HubError):
    """501 for what other servers of this API have, and this one has not."""

    status = 501
    code = "NotOffered"
