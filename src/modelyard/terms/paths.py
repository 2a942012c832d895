"""What is addressed, whichever API an address came by: projects, owners of files, and names of files."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import Enum
from urllib.parse import quote, unquote, unquote_to_bytes

# Roots of what has an address, by which clients name files to MLflow's registry as well.
API = "/api/v4"
HEALTH, LIVENESS, READINESS = "/-/health", "/-/liveness", "/-/readiness"  # which container engines ask
METRICS = "/metrics"
OPENAPI = "/openapi.json"
SIGN_IN = "/users/sign_in"  # the page that a terminal names
SIGN_ON = "/users/auth"  # below which one is sent to a provider and back, as in GitLab
OAUTH, OIDC = "/oauth", "/-/oidc"  # below which tokens are given
OAUTH_METADATA = "/.well-known/oauth-authorization-server"  # where RFC 8414 has it
DEVICES = f"{OAUTH}/device"  # the page that a device names, as in GitLab
MINT_TOKEN = f"{OIDC}/mint-token"
MLFLOW = "/ml/mlflow"  # below a project
MLFLOW_ARTIFACTS = f"{MLFLOW}/api/2.0/mlflow-artifacts"
MODEL_FILES = "/packages/ml_models"  # below a project
UPLOADS = "/uploads"  # below the root of the API, where uploads go on
MAX_SEGMENT_BYTES = 255
MAX_NAME_BYTES = 1024
NOBODY = -1  # an id that nothing has
LOGGED_MODELS_ROOT = "models"
CANDIDATE = "candidate:"
PROJECTS_ROOT = "projects"

ProjectRef = int | str  # an id, or a path `namespace/name`

_STEPS = frozenset({b".", b".."})
DIGITS = re.compile(r"-?[0-9]{1,19}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# Control characters, and line and paragraph separators. Format characters stay, as emoji are joined by them …
_UNPRINTABLE = frozenset({"Cc", "Zl", "Zp"})
# … but for those that reorder the text around them, and so make one name look like another.
_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class OwnerKind(Enum):
    """What can have files."""

    VERSION = "version"
    CANDIDATE = "candidate"
    LOGGED_MODEL = "logged model"


@dataclass(frozen=True, slots=True)
class OwnerRef:
    """Whose files are meant: a version by its global id, a candidate by its iid, a logged model by its id `m-…`."""

    kind: OwnerKind
    key: int | str


def files_path(project: object, owner: object) -> str:
    """What a version's or candidate's files are below, itself below the root of the API; both are encoded."""
    return f"/projects/{project}{MODEL_FILES}/{owner}/files"


def file_path(project: object, owner: object, name: str) -> str:
    """The path of a file in the API; `name` is encoded here."""
    return f"{API}{files_path(project, owner)}/{quote(name, safe='/')}"


def callback_path(provider: str) -> str:
    """Where a provider of single sign-on sends people back to."""
    return f"{SIGN_ON}/{provider}/callback"


def artifact_uri(project_id: int, owner: int | str) -> str:
    """The URI by which MLflow's clients name the files of a version (its id), `candidate:<iid>` or `models/m-…`.

    To download what lies there, they take its last segment off and put what is left below the tracking URI, but only
    if something is left. With the project in it, it names the same files below any project's tracking URI: the
    registry may be another project than tracking is.
    """
    return f"mlflow-artifacts:/{PROJECTS_ROOT}/{project_id}/{owner}"


def parse_id(text: str) -> int:
    """A positive id written in decimal digits, or NOBODY."""
    return int(text) if text.isascii() and text.isdigit() and DIGITS.fullmatch(text) else NOBODY


def is_printable(text: str) -> bool:
    """Whether a name can be shown for what it is: no control characters, and none that reorder the text around them."""
    if text.isascii():
        return text.isprintable()
    return not any(c in _REORDERING or unicodedata.category(c) in _UNPRINTABLE for c in text)


def shown_by_mlflow(name: str) -> str:
    """A file's name as MLflow's clients take it from a listing (`validate_path_is_safe`), and ask for it: they decode
    it until there is nothing left to decode, bytes that are no UTF-8 become U+FFFD, and control characters are escaped.
    """
    while "%" in name and (decoded := unquote(name)) != name:
        name = decoded
    return _CONTROL.sub(lambda found: f"%{ord(found[0]):02x}", name)


def stored_form(name: str) -> str:
    """A file's name as GitLab's listings show it: percent-encoded as one component, `my_dir%2Fmodel.pkl`."""
    return quote(name, safe="*").replace("~", "%7E")


def segment_faults(parameter: str, segment: str | None) -> list[str]:
    """What the rule for names has against one segment, in GitLab's sentences; None is one that cannot be read."""
    if segment is None:
        return [f"{parameter} is invalid"]
    faults, hides_a_step = [], _hides_a_step(segment)
    if hides_a_step or _traverses(segment):
        faults.append(f"{parameter} should be a valid file path")
    if hides_a_step or not _is_name(segment):
        faults.append(f"{parameter} is invalid")
    return faults


def _traverses(segment: str) -> bool:
    """Whether the segment would leave its directory, were it a path on disk (GitLab's file_path validator)."""
    steps = re.split(r"[/\\]", segment)
    return segment == "." or ".." in steps or "\n" in segment or segment.startswith(("/", "\\"))


def _hides_a_step(segment: str) -> bool:
    """Whether whoever decodes the name again, however often, may find `.`, `..` or a separator.

    Here it is decoded no more; but a client may, or a proxy, and write to a path that it did not mean.
    """
    if "%" not in segment or len(segment) > MAX_SEGMENT_BYTES:
        return False
    encoded = segment.encode()
    while (decoded := unquote_to_bytes(encoded)) != encoded:
        if decoded in _STEPS or b"/" in decoded or b"\\" in decoded:
            return True
        encoded = decoded
    return False


def _is_name(segment: str) -> bool:
    if not segment or len(segment.encode()) > MAX_SEGMENT_BYTES:
        return False
    return "/" not in segment and "\\" not in segment and is_printable(segment)
