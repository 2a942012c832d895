"""What an administrator is told of the store: how much it holds, and how the last upkeep went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelyard.access.identity import Identity
from modelyard.registry.repository import Registry
from modelyard.registry.tables import UpkeepRun
from modelyard.services.people.authentication import require_admin


@dataclass(frozen=True, slots=True)
class State:
    """Numbers of the store; bytes."""

    counted: int  # of all files
    blobs: int
    stored: int  # of all blobs
    damaged: int  # blobs
    runs: Sequence[UpkeepRun]


def state(registry: Registry, caller: Identity) -> State:
    """The store as the database knows it. Raises Forbidden for who is no administrator."""
    require_admin(caller)
    blobs, stored = registry.storage.stored()
    return State(registry.storage.total(), blobs, stored, len(registry.blobs.damaged()), registry.upkeep.all())
