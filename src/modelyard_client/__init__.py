"""The client of a modelyard: `Registry` to use from Python, and the command `myd`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelyard_client.local.patterns import Rule, Selection
    from modelyard_client.local.walking import Walk
    from modelyard_client.progress import Progress
    from modelyard_client.pull.pulling import PullOptions
    from modelyard_client.push.pushing import PushOptions
    from modelyard_client.registry import Registry

_PLACES = {
    "Registry": "registry",
    "Progress": "progress",
    "PullOptions": "pull.pulling",
    "PushOptions": "push.pushing",
    "Rule": "local.patterns",
    "Selection": "local.patterns",
    "Walk": "local.walking",
}

__all__ = ["Progress", "PullOptions", "PushOptions", "Registry", "Rule", "Selection", "Walk"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the module has
    """What is named, imported when it is asked for: the command's help needs none of it."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - as above

    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
