"""Parts of paths that several resources have: how each may be spelled, for FastAPI and for OpenAPI.

They come to an endpoint still percent-encoded, and it parses them; the schemas say what it will take.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path
from pydantic import WithJsonSchema

from modelyard.terms.paths import MAX_NAME_BYTES, MAX_SEGMENT_BYTES

Schema = dict[str, Any]

ID: Schema = {"type": "integer", "minimum": 1}
PATH: Schema = {"type": "string", "maxLength": 3 * MAX_NAME_BYTES}  # percent-encoded
SEGMENT: Schema = {"type": "string", "maxLength": MAX_SEGMENT_BYTES}
_NO_STEP = r"(?!(\.|%(25)*2[eE]){1,2}$)(?!.*%(25)*(2[fF]|5[cC]))"  # nor one that is encoded once more
_NAME: Schema = {  # of one segment of a path; names may have several
    "type": "string",
    "maxLength": MAX_NAME_BYTES,
    "pattern": "^" + _NO_STEP + r"[^/\\\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]+$",
}


def either(*schemas: Schema) -> WithJsonSchema:
    """What may be spelled in one of several ways."""
    return WithJsonSchema({"anyOf": list(schemas)})


ProjectKey = Annotated[
    str,
    Path(description="Project id, or URL-encoded path."),
    either(ID, PATH | {"pattern": "^[^/]+(/[^/]+)+$"}),
]
VersionKey = Annotated[
    str,
    Path(description="Version id, or `candidate:` and a candidate's iid."),
    either(ID, {"type": "string", "pattern": "^candidate:[1-9][0-9]{0,8}$"}),
]
RecordId = Annotated[str, WithJsonSchema(ID)]
Segment = Annotated[str, WithJsonSchema(SEGMENT)]
FileName = Annotated[str, WithJsonSchema(_NAME)]
