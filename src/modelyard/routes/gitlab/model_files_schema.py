"""What OpenAPI says of the file API, whose operations read their requests themselves."""

from __future__ import annotations

from typing import Any

PATH_PARAMETERS = {
    "project": "Project id, or URL-encoded path.",
    "model_version_id": "Version id, or `candidate:` and a candidate's iid.",
    "name": "`(*path/):file_name`",
}
UPLOAD_BODY = {
    "requestBody": {
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        }
    }
}

OFFER = {
    "parameters": [
        {
            "name": "X-Modelyard-Upload",
            "in": "header",
            "required": False,
            "description": "`RemoteObject.ID` of an upload to the bucket that is complete: the request carries no "
            "bytes, and answers when they have been read back and verified.",
            "schema": {"type": "string", "maxLength": 4096},
        }
    ]
}
_TEXT, _NUMBER = {"type": "string"}, {"type": "integer"}
PERMISSION = {
    "responses": {
        "200": {
            "description": "The upload is permitted. `RemoteObject` is there where the client may upload to the bucket "
            "by itself: it PUTs each part of `PartSize` bytes to its URL, POSTs the ETags to `CompleteURL` as S3's "
            "CompleteMultipartUpload, and then PUTs an empty body to `URL` with `ID` as `X-Modelyard-Upload`.",
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "properties": {
                            "MaximumSize": _NUMBER,
                            "UploadHashFunctions": {"type": "array", "items": _TEXT},
                            "Method": _TEXT,
                            "URL": _TEXT,
                            "Exists": {
                                "type": ["object", "null"],
                                "properties": {"SHA256": _TEXT, "Size": _NUMBER},
                            },
                            "RemoteObject": {
                                "type": "object",
                                "properties": {
                                    "ID": _TEXT,
                                    "Timeout": _NUMBER,
                                    "GetURL": _TEXT,
                                    "MultipartUpload": {
                                        "type": "object",
                                        "properties": {
                                            "PartSize": _NUMBER,
                                            "PartURLs": {"type": "array", "items": _TEXT},
                                            "CompleteURL": _TEXT,
                                            "AbortURL": _TEXT,
                                        },
                                    },
                                },
                            },
                        },
                    }
                }
            },
        }
    }
}


def described(*extras: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI description of an operation: its path parameters, and what else it takes."""
    described: dict[str, Any] = {
        "parameters": [
            {"name": name, "in": "path", "required": True, "description": text, "schema": {"type": "string"}}
            for name, text in PATH_PARAMETERS.items()
        ]
    }
    for extra in extras:
        described["parameters"] = described["parameters"] + extra.get("parameters", [])
        described |= {key: value for key, value in extra.items() if key != "parameters"}
    return described
