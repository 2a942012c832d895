"""YAML that anybody may have written: keys with plain values, and neither types of others nor aliases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelyard.services.previews.source import Faulty


def mapping_of(text: str, what: str) -> Mapping[Any, Any]:
    """What the text of a file or a part of one, `what`, says. Raises Faulty."""
    import yaml  # noqa: PLC0415 - when the first one is looked at

    # libyaml is fifty times as fast, and bounds how deep values lie in others: 60 kB of `[` took half a minute.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        if any(isinstance(each, yaml.AliasToken) for each in yaml.scan(text, Loader=loader)):
            raise Faulty(f"The {what} has aliases, which are not followed")
        told = yaml.load(text, Loader=loader)  # noqa: S506 - one of the two is safe
    except (yaml.YAMLError, ValueError, RecursionError, OverflowError) as error:
        raise Faulty(f"The {what} is no YAML of plain values") from error
    if not isinstance(told, Mapping):
        raise Faulty(f"The {what} has no keys")
    return told
