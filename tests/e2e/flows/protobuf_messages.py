"""Prints the requests of MLflow's API as its own client defines them: by method and path, the fields with their kinds.

Runs in the environment of a client.
"""

from __future__ import annotations

import json
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from mlflow.protos import databricks_pb2, model_registry_pb2, service_pb2

KINDS = {
    FieldDescriptor.TYPE_DOUBLE: "float",
    FieldDescriptor.TYPE_INT64: "int",
    FieldDescriptor.TYPE_INT32: "int",
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_STRING: "str",
}
DEPTH = 4  # some messages of traces contain themselves


def fields_of(message: Descriptor, depth: int = 0) -> dict[str, Any]:
    return {field.name: kind_of(field, depth) for field in message.fields}


def kind_of(field: FieldDescriptor, depth: int) -> dict[str, Any]:
    told: dict[str, Any] = {"repeated": is_repeated(field)}
    if field.enum_type:
        return told | {"enum": {value.name: value.number for value in field.enum_type.values}}
    if field.message_type:
        return told | {"fields": fields_of(field.message_type, depth + 1) if depth < DEPTH else {}}
    return told | {"kind": KINDS.get(field.type, "other")}


def is_repeated(field: FieldDescriptor) -> bool:
    if hasattr(field, "is_repeated"):
        return bool(field.is_repeated)
    return bool(field.label == FieldDescriptor.LABEL_REPEATED)


def main() -> None:
    told = {}
    for module in (service_pb2, model_registry_pb2):
        for service in module.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                for endpoint in method.GetOptions().Extensions[databricks_pb2.rpc].endpoints:
                    if endpoint.since.major == 2:
                        told[f"{endpoint.method} /{endpoint.path.lstrip('/')}"] = fields_of(method.input_type)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
