"""Holds whatever is remembered of files against what would be found."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from modelyard.errors import ApiError
from modelyard.registry.files.locations import Location
from modelyard.registry.marks import Marks
from modelyard.registry.repository import Registry
from modelyard.services.files.lookup import Lookup


def found_in(lookup: Lookup[Any, Any], registry: Registry, request: Any) -> Location | None:
    """What a lookup finds, without its marks; None for a refusal."""
    try:
        location: Location = lookup._find(registry, request).location
    except ApiError:
        return None
    return replace(location, marks=())


def marks_now(registry: Registry, marks: Marks) -> Marks:
    """The marks of these scopes, as a transaction sees them."""
    return registry.marks.of([scope for scope, _mark in marks])


@contextmanager
def checked_lookups() -> Iterator[None]:
    """A block in which a server answers 500 where it remembers what it would not find, though all marks are the same.

    One view is looked at, so what others change meanwhile is no matter.
    """
    recent = Lookup.recent

    async def checked(self: Lookup[Any, Any], request: Any) -> Any:
        located = await recent(self, request)
        if located is not None:
            remembered: Location = located.location

            def look(registry: Registry) -> None:
                if marks_now(registry, remembered.marks) == remembered.marks:
                    found = found_in(self, registry, request)
                    assert found == replace(remembered, marks=()), (request, remembered, found)

            self._database.read_now(look)
        return located

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Lookup, "recent", checked)
        yield
