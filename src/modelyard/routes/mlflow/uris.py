"""How MLflow's clients write the URIs by which they name files, and which of them are this server's.

Clients do not encode what they append to a URI, and their HTTP library encodes what it must when it is sent. So
characters beyond ASCII may stand in one, and a `%` that begins no escape.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import SplitResult, quote, urlsplit

from modelyard.errors import InvalidValue, ParameterError
from modelyard.services.models.uris import ARTIFACTS, MODELS, RUNS, LoggedModelUri, ModelUri, Place, RunUri, SourceUri
from modelyard.terms.paths import API, MLFLOW_ARTIFACTS, MODEL_FILES, OwnerKind, OwnerRef
from modelyard.wire.paths import parse_artifact_path, parse_file_name, parse_owner, parse_project, split_project

PORTS = {"http": 80, "https": 443}

_LOGGED = re.compile(r"m-[0-9a-f]{32}")
_NO_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SAFE = "/:@!$&'()*+,;=~-._"
_API = f"{API}/projects/"
_ARTIFACTS_API = f"{MLFLOW_ARTIFACTS}/artifacts/".lstrip("/")
_FILE_API = f"{MODEL_FILES}/".lstrip("/")

Authority = tuple[str, int | None]  # host and port, None for the one that the scheme has by default


class Here:
    """The names of this server: the URLs, with the prefix before that of the API, by which clients may know it."""

    def __init__(self, bases: Iterable[str]) -> None:
        self._bases = {(_authority(base), base.path) for base in map(_split, bases) if base is not None}

    def read_source(self, text: str) -> SourceUri | None:
        """What a version's source names here; see `ReadSource`."""
        uri = _split(text)
        if uri is None:
            return None
        if uri.scheme == MODELS:
            return _model_uri(text)
        if uri.scheme == RUNS:
            return _run_uri(uri, text)
        if uri.scheme == ARTIFACTS and self._has(uri):
            path = _encoded(uri.path).strip("/")
            return replace(_artifact_place(path), readable="/" in path)
        if uri.scheme in PORTS and (below := self._below(uri)) is not None:
            return _api_place(below)
        return None

    def _has(self, uri: SplitResult) -> bool:
        """Whether a URI's host and port, if it has any, are this server's. The scheme does not matter: TLS may end
        before this server.
        """
        return not uri.netloc or _authority(uri) in {authority for authority, _prefix in self._bases}

    def _below(self, url: SplitResult) -> str | None:
        """What follows the root of all projects in a URL of this server, still encoded; None for any other URL."""
        path, authority = re.sub("/+", "/", _encoded(url.path)), _authority(url)
        for known, prefix in self._bases:
            if known == authority and path.startswith(prefix + _API):
                return path.removeprefix(prefix + _API)
        return None


def _split(text: str) -> SplitResult | None:
    """The parts of a URI; None for brackets that are no address's, or a port that is no number."""
    try:
        uri = urlsplit(text)
        _port = uri.port
    except ValueError:
        return None
    return uri


def _run_uri(uri: SplitResult, text: str) -> RunUri:
    if uri.netloc:
        raise InvalidValue(f"Invalid source '{text}': runs of another server cannot be registered here")
    run_id, _, directory = _encoded(uri.path).lstrip("/").partition("/")
    return RunUri(run_id, _directory(directory))


def _model_uri(text: str) -> ModelUri | LoggedModelUri:
    """Names of models are taken as they are: clients never encode them."""
    path = text.partition(":")[2]
    if path.startswith("//") and not path.startswith("///"):
        raise InvalidValue(f"Invalid source '{text}': models of another registry cannot be registered here")
    head, slash, tail = path.strip("/").partition("/")
    if _LOGGED.fullmatch(head):
        return LoggedModelUri(OwnerRef(OwnerKind.LOGGED_MODEL, head), _directory(_encoded(tail)))
    name, _, version = path.strip("/").rpartition("/")
    if slash:
        return ModelUri(name, version=version)
    name, _, alias = head.rpartition("@")
    return ModelUri(name or head, alias=alias if name else "")


def _artifact_place(path: str) -> Place:
    """What a path below MLflow's `artifacts/` names."""
    project, rest = split_project(re.sub("/+", "/", path))
    owner, directory = parse_artifact_path(rest)
    return Place(owner, _directory(directory), project)


def _api_place(below: str) -> Place | None:
    """What a URL of MLflow's artifact API or of the file API names, by its path from the project on."""
    segment, _, path = below.partition("/")
    project = parse_project(segment)
    if path.startswith(_ARTIFACTS_API):
        place = _artifact_place(path.removeprefix(_ARTIFACTS_API))
        return place if place.project is not None else replace(place, project=project)
    if path.startswith(_FILE_API):
        owner, _, rest = path.removeprefix(_FILE_API).partition("/")
        files, _, directory = rest.partition("/")
        if files == "files":
            return Place(parse_owner(owner), _directory(directory), project, readable=False)
    return None


def _directory(raw: str) -> str:
    """A directory, still encoded, as its files are kept below it. Raises InvalidValue."""
    path = "/".join(filter(None, raw.split("/")))
    try:
        return parse_file_name(path) if path else ""
    except ParameterError as error:
        raise InvalidValue(f"Invalid source: {error.body['error']}") from error


def _encoded(path: str) -> str:
    """A path as Python's requests sends it: where any `%` begins no escape, none of them is taken for one."""
    return quote(path, safe=_SAFE if _NO_ESCAPE.search(path) else f"%{_SAFE}")


def _authority(uri: SplitResult) -> Authority:
    """Host and port, without the user and whatever the case; ports that a scheme has by default are not told apart."""
    usual = PORTS.values() if uri.scheme == ARTIFACTS else (PORTS.get(uri.scheme),)
    return (uri.hostname or "").rstrip("."), None if uri.port in usual else uri.port
