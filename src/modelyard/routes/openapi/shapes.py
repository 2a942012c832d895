"""What answers look like, as OpenAPI schemas: GitLab's records, MLflow's, and what refusals say."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "integer"}
FLAG: Schema = {"type": "boolean"}
MOMENT: Schema = {"type": "string", "format": "date-time"}
DAY: Schema = {"type": "string", "format": "date"}
URL: Schema = {"type": "string", "minLength": 1}
NOTHING: Schema = {"type": "null"}
SHA256: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}


def maybe(schema: Schema) -> Schema:
    """That, or null."""
    return {"anyOf": [schema, NOTHING]}


def record(**fields: Schema) -> Schema:
    """An object that always has these fields."""
    return {"type": "object", "required": list(fields), "properties": fields}


def also(schema: Schema, /, **fields: Schema) -> Schema:
    """A record that may have these fields as well."""
    return schema | {"properties": schema["properties"] | fields}


def several(schema: Schema) -> Schema:
    """A list."""
    return {"type": "array", "items": schema}


def ref(name: str) -> Schema:
    """One of SCHEMAS."""
    return {"$ref": f"#/components/schemas/{name}"}


_PUBLIC = {
    "id": NUMBER,
    "username": TEXT,
    "name": TEXT,
    "state": {"enum": ["active", "blocked", "deactivated"]},
    "avatar_url": NOTHING,
    "web_url": URL,
}
_VERSION_LINK = record(id=NUMBER, version=maybe(TEXT), created_at=MOMENT, tags=several(TEXT))
_PACKAGE = record(
    id=NUMBER,
    name=TEXT,
    version=maybe(TEXT),
    package_type={"const": "ml_model"},
    status=TEXT,
    _links=record(web_path=URL, delete_api_path=URL),
    created_at=MOMENT,
    last_downloaded_at=maybe(MOMENT),
    tags=several(TEXT),
    pipelines=several(TEXT),
)
_TOKEN = record(
    id=NUMBER,
    name=TEXT,
    revoked=FLAG,
    created_at=MOMENT,
    description=TEXT,
    scopes=several(TEXT),
    user_id=NUMBER,
    last_used_at=maybe(MOMENT),
    active=FLAG,
    expires_at=maybe(DAY),
)
_JOB_TOKEN = _TOKEN["properties"] | {"expires_at": MOMENT, "project_id": NUMBER, "maker_id": maybe(NUMBER)}
_NAMESPACE = record(
    id=NUMBER,
    name=TEXT,
    path=TEXT,
    kind={"enum": ["user", "group"]},
    full_path=TEXT,
    parent_id=maybe(NUMBER),
    avatar_url=NOTHING,
    web_url=URL,
)
_SIMPLE_PROJECT = record(
    id=NUMBER,
    name=TEXT,
    path=TEXT,
    name_with_namespace=TEXT,
    path_with_namespace=TEXT,
    description=TEXT,
    visibility={"enum": ["private", "internal", "public"]},
    web_url=URL,
    default_branch=NOTHING,
    namespace=ref("Namespace"),
    created_at=MOMENT,
    last_activity_at=MOMENT,
)
_PROJECT = record(
    **_SIMPLE_PROJECT["properties"],
    archived=FLAG,
    creator_id=maybe(NUMBER),
    updated_at=MOMENT,
    _links=record(self=URL),
)
_PAIRS = several(record(key=TEXT, value=TEXT))
_STAGE: Schema = {"enum": ["active", "deleted"]}
_METRIC = record(
    key=TEXT, value={"anyOf": [{"type": "number"}, {"enum": ["NaN", "Infinity", "-Infinity"]}]}, timestamp=NUMBER
)
_METRIC = also(_METRIC, step=NUMBER, model_id=TEXT, run_id=TEXT, dataset_name=TEXT, dataset_digest=TEXT)
_RUN_INFO = record(
    run_id=TEXT,
    run_uuid=TEXT,
    experiment_id=TEXT,
    run_name=TEXT,
    user_id=TEXT,
    status=TEXT,
    start_time=NUMBER,
    artifact_uri=URL,
    lifecycle_stage=_STAGE,
)
_MODEL_VERSION = record(
    name=TEXT,
    version=TEXT,
    creation_timestamp=NUMBER,
    last_updated_timestamp=NUMBER,
    user_id=TEXT,
    current_stage=TEXT,
    description=TEXT,
    source=TEXT,
    run_id=TEXT,
    run_link=TEXT,
    status=TEXT,
    status_message=TEXT,
    tags=_PAIRS,
    aliases=several(TEXT),
)
_DATASET = also(record(name=TEXT, digest=TEXT, source_type=TEXT, source=TEXT), schema=TEXT, profile=TEXT)

SCHEMAS: dict[str, Schema] = {
    "PublicUser": record(**_PUBLIC),
    "User": record(
        **_PUBLIC,
        email=TEXT,
        is_admin=FLAG,
        bot=FLAG,
        created_at=MOMENT,
        last_activity_on=maybe(DAY),
        namespace_id=maybe(NUMBER),
    ),
    "Member": record(
        **_PUBLIC, access_level=NUMBER, created_at=MOMENT, expires_at=maybe(DAY), membership_state={"const": "active"}
    ),
    "UserMembership": record(source_id=NUMBER, source_name=TEXT, source_type={"const": "Project"}, access_level=NUMBER),
    "Namespace": _NAMESPACE,
    "SimpleProject": _SIMPLE_PROJECT,
    "Project": also(
        _PROJECT,
        permissions=record(project_access=maybe(record(access_level=NUMBER)), group_access=NOTHING),
        storage_limit=maybe(NUMBER),
        statistics=record(storage_size=NUMBER, packages_size=NUMBER),
    ),
    "AuditEvent": record(
        id=NUMBER,
        author_id=NUMBER,
        entity_id=NUMBER,
        entity_type={"enum": ["User", "Project"]},
        event_name=TEXT,
        details={"type": "object", "required": ["custom_message"], "properties": {"custom_message": TEXT}},
        created_at=MOMENT,
    ),
    "Token": also(_TOKEN, access_level=maybe(NUMBER)),
    "NewToken": also(record(**_TOKEN["properties"], token=TEXT), access_level=maybe(NUMBER)),
    "JobToken": record(**_JOB_TOKEN),
    "NewJobToken": record(**_JOB_TOKEN, token=TEXT),
    "Package": also(_PACKAGE, versions=several(_VERSION_LINK)),
    "PackageFile": record(
        id=NUMBER,
        package_id=NUMBER,
        created_at=MOMENT,
        file_name=TEXT,
        size=NUMBER,
        file_md5=NOTHING,
        file_sha1=NOTHING,
        file_sha256=SHA256,
        pipelines=several(TEXT),
    ),
    "UploadPermission": also(
        record(
            MaximumSize=NUMBER,
            UploadHashFunctions=several(TEXT),
            Method={"const": "PUT"},
            URL=URL,
            Exists=maybe(record(SHA256=SHA256, Size=NUMBER)),
        ),
        RemoteObject=record(
            ID=TEXT,
            Timeout=NUMBER,
            GetURL=URL,
            MultipartUpload=record(PartSize=NUMBER, PartURLs=several(URL), CompleteURL=URL, AbortURL=URL),
        ),
    ),
    "Experiment": record(
        experiment_id=TEXT,
        name=TEXT,
        artifact_location=TEXT,
        lifecycle_stage=_STAGE,
        creation_time=NUMBER,
        last_update_time=NUMBER,
        tags=_PAIRS,
    ),
    "Metric": _METRIC,
    "RunInfo": also(_RUN_INFO, end_time=NUMBER),
    "Run": record(
        info=ref("RunInfo"),
        data=record(metrics=several(ref("Metric")), params=_PAIRS, tags=_PAIRS),
        inputs=record(
            dataset_inputs=several(record(dataset=_DATASET, tags=_PAIRS)), model_inputs=several(record(model_id=TEXT))
        ),
        outputs=record(model_outputs=several(record(model_id=TEXT, step=NUMBER))),
    ),
    "ModelVersion": also(_MODEL_VERSION, model_id=TEXT),
    "RegisteredModel": record(
        name=TEXT,
        creation_timestamp=NUMBER,
        last_updated_timestamp=NUMBER,
        description=TEXT,
        user_id=TEXT,
        tags=_PAIRS,
        aliases=several(record(alias=TEXT, version=TEXT)),
        latest_versions=several(ref("ModelVersion")),
    ),
    "LoggedModel": record(
        info=record(
            model_id=TEXT,
            experiment_id=TEXT,
            name=TEXT,
            creation_timestamp_ms=NUMBER,
            last_updated_timestamp_ms=NUMBER,
            artifact_uri=URL,
            status=TEXT,
            status_message=TEXT,
            model_type=TEXT,
            source_run_id=TEXT,
            tags=_PAIRS,
        ),
        data=record(params=_PAIRS, metrics=several(ref("Metric"))),
    ),
    "Files": record(files=several(also(record(path=TEXT, is_dir=FLAG), file_size=NUMBER))),
    "Message": record(message={"anyOf": [TEXT, {"type": "object", "additionalProperties": several(TEXT)}]}),
    "ParameterError": record(error=TEXT),
    "TokenError": also(record(error=TEXT, error_description=TEXT), scope=TEXT),
    "MLflowError": also(record(error_code=TEXT, message=_PUBLIC["name"]), error=TEXT, error_description=TEXT),
}
SCHEMAS["MLflowError"]["properties"]["message"] = SCHEMAS["Message"]["properties"]["message"]
