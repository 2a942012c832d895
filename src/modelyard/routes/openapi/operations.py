"""What the OpenAPI document says of each operation beyond what FastAPI knows, by method and path."""

from __future__ import annotations

from modelyard.routes.mlflow.common import REST, ROOT
from modelyard.routes.openapi.shapes import FLAG, NUMBER, SCHEMAS, TEXT, URL, Schema, also, maybe, record, ref, several
from modelyard.terms.paths import MAX_NAME_BYTES, MAX_SEGMENT_BYTES

API = "/api/v4"
PREFIX = ROOT + REST
FILE = f"{API}/projects/{{project}}/packages/ml_models/{{model_version_id}}/files/{{name}}"
AUTHORIZE = f"PUT {FILE}/authorize"
ARTIFACTS = f"{ROOT}/api/2.0/mlflow-artifacts"
ANYTHING: Schema = {"type": "object"}
EMPTY: Schema = {"type": "object", "additionalProperties": False}
BYTES: Schema = {"type": "string", "format": "binary"}
JSON, PLAIN, OCTETS = "application/json", "text/plain", "application/octet-stream"

SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "privateToken": {"type": "apiKey", "in": "header", "name": "PRIVATE-TOKEN"},
    "jobToken": {"type": "apiKey", "in": "header", "name": "JOB-TOKEN"},
    "basic": {"type": "http", "scheme": "basic", "description": "The token is the password."},
}
SIGNED_IN: list[dict[str, list[str]]] = [{name: []} for name in SECURITY_SCHEMES]
ANYBODY: list[dict[str, list[str]]] = [*SIGNED_IN, {}]  # who sees what is public
# Operations that serve anonymous callers too; a test holds that no other does.
PUBLIC = {
    f"GET {API}/users/{{user}}/projects",
    f"GET {API}/projects",
    f"GET {API}/projects/{{project}}",
    f"GET {API}/projects/{{project}}/packages",
    f"GET {API}/projects/{{project}}/packages/{{package_id}}",
    f"GET {API}/projects/{{project}}/packages/{{package_id}}/package_files",
    f"GET {FILE}",
}


def _version(key: str = "model_version") -> Schema:
    return record(**{key: ref("ModelVersion")})


def _found(key: str, schema: str) -> Schema:
    return record(**{key: several(ref(schema)), "next_page_token": maybe(TEXT)})


_USER, _MEMBER, _PROJECT, _TOKEN, _NEW_TOKEN = map(ref, ("User", "Member", "Project", "Token", "NewToken"))
_ANY_USER: Schema = {"anyOf": [_USER, ref("PublicUser")]}
_PROJECTS = several({"anyOf": [_PROJECT, ref("SimpleProject")]})
_EVENT = ref("AuditEvent")
_VERSION = record(version=TEXT, revision=TEXT)
_KAS = record(enabled=FLAG, externalUrl=maybe(URL), externalK8sProxyUrl=maybe(URL), version=maybe(TEXT))
_METADATA = record(**_VERSION["properties"], kas=_KAS, enterprise=FLAG)
_MODEL, _LOGGED = record(registered_model=ref("RegisteredModel")), record(model=ref("LoggedModel"))
_LATEST = record(model_versions=several(ref("ModelVersion")))
_LISTING = record(root_uri=URL, **SCHEMAS["Files"]["properties"], next_page_token=maybe(TEXT))
_DATASET_SUMMARY = also(record(experiment_id=TEXT, name=TEXT, digest=TEXT), context=TEXT)
_CHECKS = several(record(status=TEXT))

# By method and path; what is not here and has a body answers with an empty object, as most of MLflow's operations do.
ANSWERS: dict[str, Schema] = {
    "GET /metrics": TEXT,
    "GET /-/health": TEXT,
    "GET /-/liveness": record(status=TEXT),
    "GET /-/readiness": record(status=TEXT, database_check=_CHECKS, blob_store_check=_CHECKS),
    **{
        f"{method} {API}{path}": schema
        for method, path, schema in (
            ("GET", "/version", _VERSION),
            ("GET", "/metadata", _METADATA),
            ("GET", "/user", _USER),
            ("GET", "/users", several(_ANY_USER)),
            ("POST", "/users", _USER),
            ("GET", "/users/{user_id}", _ANY_USER),
            ("PUT", "/users/{user_id}", _USER),
            ("GET", "/users/{user_id}/memberships", several(ref("UserMembership"))),
            ("GET", "/users/{user}/projects", _PROJECTS),
            *(
                ("POST", f"/users/{{user_id}}/{change}", {"const": True})
                for change in ("block", "unblock", "deactivate", "activate")
            ),
            ("POST", "/users/{user_id}/personal_access_tokens", _NEW_TOKEN),
            ("GET", "/audit_events", several(_EVENT)),
            ("GET", "/audit_events/{event_id}", _EVENT),
            ("GET", "/projects/{project}/audit_events", several(_EVENT)),
            ("GET", "/projects/{project}/audit_events/{event_id}", _EVENT),
            ("GET", "/personal_access_tokens", several(_TOKEN)),
            ("GET", "/personal_access_tokens/{token_id}", _TOKEN),
            ("POST", "/personal_access_tokens/{token_id}/rotate", _NEW_TOKEN),
            ("GET", "/projects/{project}/access_tokens", several(_TOKEN)),
            ("POST", "/projects/{project}/access_tokens", _NEW_TOKEN),
            ("GET", "/projects/{project}/access_tokens/{token_id}", _TOKEN),
            ("POST", "/projects/{project}/access_tokens/{token_id}/rotate", _NEW_TOKEN),
            ("GET", "/projects/{project}/job_tokens", several(ref("JobToken"))),
            ("POST", "/projects/{project}/job_tokens", ref("NewJobToken")),
            ("GET", "/projects/{project}/job_tokens/{token_id}", ref("JobToken")),
            ("GET", "/namespaces", several(ref("Namespace"))),
            ("GET", "/namespaces/{namespace}", ref("Namespace")),
            ("GET", "/namespaces/{namespace}/exists", record(exists=FLAG, suggests=several(TEXT))),
            ("GET", "/projects", _PROJECTS),
            ("POST", "/projects", _PROJECT),
            ("POST", "/projects/user/{user_id}", _PROJECT),
            ("GET", "/projects/{project}", _PROJECT),
            ("PUT", "/projects/{project}", _PROJECT),
            ("DELETE", "/projects/{project}", ref("Message")),
            ("GET", "/projects/{project}/members", several(_MEMBER)),
            ("POST", "/projects/{project}/members", _MEMBER),
            ("GET", "/projects/{project}/members/{user_id}", _MEMBER),
            ("GET", "/projects/{project}/members/all", several(_MEMBER)),
            ("GET", "/projects/{project}/members/all/{user_id}", _MEMBER),
            ("PUT", "/projects/{project}/members/{user_id}", _MEMBER),
            ("GET", "/projects/{project}/packages", several(ref("Package"))),
            ("GET", "/projects/{project}/packages/{package_id}", ref("Package")),
            ("GET", "/projects/{project}/packages/{package_id}/package_files", several(ref("PackageFile"))),
        )
    },
    AUTHORIZE: ref("UploadPermission"),
    f"PUT {FILE}": ref("Message"),
    f"GET {FILE}": BYTES,
    **{
        f"{method} {PREFIX}/{path}": schema
        for method, path, schema in (
            ("POST", "experiments/create", record(experiment_id=TEXT)),
            ("GET", "experiments/get", record(experiment=ref("Experiment"))),
            ("GET", "experiments/get-by-name", record(experiment=ref("Experiment"))),
            ("GET", "experiments/list", _found("experiments", "Experiment")),
            ("GET", "experiments/search", _found("experiments", "Experiment")),
            ("POST", "experiments/search", _found("experiments", "Experiment")),
            ("POST", "runs/create", record(run=ref("Run"))),
            ("GET", "runs/get", record(run=ref("Run"))),
            ("POST", "runs/search", _found("runs", "Run")),
            ("POST", "runs/update", record(run_info=ref("RunInfo"))),
            ("GET", "metrics/get-history", _found("metrics", "Metric")),
            ("GET", "metrics/get-history-bulk", record(metrics=several(ref("Metric")))),
            ("GET", "metrics/get-history-bulk-interval", _found("metrics", "Metric")),
            ("POST", "experiments/search-datasets", record(dataset_summaries=several(_DATASET_SUMMARY))),
            ("GET", "artifacts/list", _LISTING),
            ("POST", "registered-models/create", _MODEL),
            ("GET", "registered-models/get", _MODEL),
            ("PATCH", "registered-models/update", _MODEL),
            ("POST", "registered-models/rename", _MODEL),
            ("GET", "registered-models/search", _found("registered_models", "RegisteredModel")),
            ("POST", "registered-models/search", _found("registered_models", "RegisteredModel")),
            ("GET", "registered-models/get-latest-versions", _LATEST),
            ("POST", "registered-models/get-latest-versions", _LATEST),
            ("GET", "registered-models/alias", _version()),
            ("POST", "model-versions/create", _version()),
            ("GET", "model-versions/get", _version()),
            ("PATCH", "model-versions/update", _version()),
            ("GET", "model-versions/search", _found("model_versions", "ModelVersion")),
            ("POST", "model-versions/search", _found("model_versions", "ModelVersion")),
            ("GET", "model-versions/get-download-uri", record(artifact_uri=TEXT)),
            ("POST", "model-versions/transition-stage", _version()),
            ("POST", "logged-models", _LOGGED),
            ("POST", "logged-models/search", _found("models", "LoggedModel")),
            ("GET", "logged-models/{model_id}", _LOGGED),
            ("PATCH", "logged-models/{model_id}", _LOGGED),
            ("PATCH", "logged-models/{model_id}/tags", _LOGGED),
            ("GET", "logged-models/{model_id}/artifacts/directories", ref("Files")),
        )
    },
    f"GET {ARTIFACTS}/artifacts": ref("Files"),
    f"GET {ARTIFACTS}/artifacts/{{path}}": BYTES,
    f"GET {ROOT}/api/3.0/mlflow/server-info": ANYTHING,
    f"GET {ROOT}/version": TEXT,
    f"GET {ROOT}/health": TEXT,
}

UPLOAD = {f"PUT {FILE}", f"PUT {ARTIFACTS}/artifacts/{{path}}"}
DOWNLOAD = {f"GET {FILE}", f"GET {ARTIFACTS}/artifacts/{{path}}"}
NOT_OFFERED = {f"POST {ARTIFACTS}/mpu/{{operation}}/{{path}}", f"GET {ARTIFACTS}/presigned/{{path}}"}
# Refusals beyond those that every operation of its kind has.
STATUSES: dict[int, set[str]] = {
    405: {f"POST {API}/projects/{{project}}/access_tokens/{{token_id}}/rotate"},
    409: {f"POST {API}/users", f"POST {API}/projects/{{project}}/members"},
    412: {*UPLOAD, *DOWNLOAD, AUTHORIZE},
    416: DOWNLOAD,
    501: NOT_OFFERED,
}
REASONS = {
    400: "What was sent is against the rules.",
    401: "No credential, or one that is not valid.",
    403: "The caller may see the resource, but may not do this.",
    404: "There is nothing of that id or name, or the caller may not know of it.",
    405: "The token that is presented is none of a project.",
    408: "The body did not come in time.",
    409: "It is there already.",
    412: "A condition of the request does not hold.",
    413: "The body is larger than any that makes sense here.",
    415: "The body is compressed.",
    416: "The file has no such range.",
    429: "Too many requests, failed logins or uploads at a time; worth a retry later.",
    501: "Not offered; MLflow's client then goes another way.",
    503: "The database or the blob store is away for the moment.",
    507: "The disk is full; nothing was stored.",
}
TEXT_HEADER = {"schema": TEXT, "required": True}
_NUMBER_HEADER = {"schema": NUMBER, "required": True}
PAGING = {
    "X-Page": _NUMBER_HEADER,
    "X-Per-Page": _NUMBER_HEADER,
    "X-Total": _NUMBER_HEADER,
    "X-Total-Pages": _NUMBER_HEADER,
    "X-Next-Page": {"schema": TEXT, "required": True, "description": "Empty on the last page."},
    "X-Prev-Page": {"schema": TEXT, "required": True, "description": "Empty on the first page."},
    "Link": {"schema": TEXT, "required": True, "description": "first, prev, next and last (RFC 8288)."},
}
# Listings that have pages by keyset, too, which say no more than where the next one is.
KEYSET = {f"GET {API}/projects", f"GET {API}/users", f"GET {API}/users/{{user}}/projects"}
KEYSET_PAGING = {name: header | {"required": False} for name, header in PAGING.items()}
VALIDATORS = {"ETag": TEXT_HEADER, "Repr-Digest": {**TEXT_HEADER, "description": "RFC 9530, sha-256."}}
HEADERS = {
    401: {"WWW-Authenticate": TEXT_HEADER},
    415: {"Accept-Encoding": TEXT_HEADER},
    429: {"Retry-After": _NUMBER_HEADER},
    503: {"Retry-After": _NUMBER_HEADER},
}
_ID: Schema = {"type": "integer", "minimum": 1}
_PATH: Schema = {"type": "string", "maxLength": 3 * MAX_NAME_BYTES}  # percent-encoded
_NO_STEP = r"(?!(\.|%(25)*2[eE]){1,2}$)(?!.*%(25)*(2[fF]|5[cC]))"  # nor one that is encoded once more
_SEGMENT: Schema = {"type": "string", "maxLength": MAX_SEGMENT_BYTES}
_NAME: Schema = {  # of one segment of a path; names may have several
    "type": "string",
    "maxLength": MAX_NAME_BYTES,
    "pattern": "^" + _NO_STEP + r"[^/\\\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]+$",
}
PARAMETERS: dict[str, Schema] = {
    "project": {"anyOf": [_ID, _PATH | {"pattern": "^[^/]+(/[^/]+)+$"}]},
    "namespace": {"anyOf": [_ID, _PATH | {"pattern": "^[^/]+(/[^/]+)*$"}]},
    "user_id": _ID,
    "user": {"anyOf": [_ID, _SEGMENT | {"pattern": "^[A-Za-z0-9_][A-Za-z0-9_.-]*$"}]},
    "event_id": _ID,
    "token_id": {"anyOf": [_ID, {"const": "self"}]},
    "package_id": _ID,
    "file_id": _ID,
    "model_version_id": {"anyOf": [_ID, {"type": "string", "pattern": "^candidate:[1-9][0-9]{0,8}$"}]},
    "name": _NAME,
    "path": _NAME,
    "model_id": _SEGMENT,
    "key": _SEGMENT,
    "operation": _SEGMENT,
}

# Where an answer leads: the parameter that names what was made or found, where its value is, and who takes it.
_PROJECT_PATH, _TOKEN_PATH = f"{API}/projects/{{project}}", f"{API}/personal_access_tokens/{{token_id}}"
LINKS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    f"POST {API}/projects": (
        "project",
        "$response.body#/id",
        (
            f"GET {_PROJECT_PATH}",
            f"PUT {_PROJECT_PATH}",
            f"DELETE {_PROJECT_PATH}",
            f"POST {_PROJECT_PATH}/members",
            f"POST {_PROJECT_PATH}/access_tokens",
            f"POST {_PROJECT_PATH}/job_tokens",
            f"POST {PREFIX}/experiments/create",
            f"POST {PREFIX}/registered-models/create",
        ),
    ),
    f"POST {API}/users": (
        "user_id",
        "$response.body#/id",
        (
            f"GET {API}/users/{{user_id}}",
            f"PUT {API}/users/{{user_id}}",
            f"DELETE {API}/users/{{user_id}}",
            f"POST {API}/users/{{user_id}}/block",
            f"POST {API}/users/{{user_id}}/deactivate",
            f"POST {API}/users/{{user_id}}/personal_access_tokens",
        ),
    ),
    f"POST {API}/users/{{user_id}}/personal_access_tokens": (
        "token_id",
        "$response.body#/id",
        (f"GET {_TOKEN_PATH}", f"DELETE {_TOKEN_PATH}", f"POST {_TOKEN_PATH}/rotate"),
    ),
    f"GET {_PROJECT_PATH}/packages": (
        "package_id",
        "$response.body#/0/id",
        (f"GET {_PROJECT_PATH}/packages/{{package_id}}", f"GET {_PROJECT_PATH}/packages/{{package_id}}/package_files"),
    ),
    f"POST {PREFIX}/logged-models": (
        "model_id",
        "$response.body#/model/info/model_id",
        (f"GET {PREFIX}/logged-models/{{model_id}}", f"DELETE {PREFIX}/logged-models/{{model_id}}"),
    ),
}
