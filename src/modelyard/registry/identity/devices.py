"""Devices that wait for their users."""

from __future__ import annotations

from sqlalchemy import delete, func, select, update

from modelyard.clock import Milliseconds, now
from modelyard.registry.base import Repository
from modelyard.registry.tables import DeviceGrant


class DeviceRepository(Repository):
    """Codes of devices, each of which is decided once, and gives a token once."""

    def by_digest(self, digest: str) -> DeviceGrant | None:
        """The device that has a code of that SHA-256."""
        return self.session.get(DeviceGrant, digest)

    def by_user_code(self, user_code: str) -> DeviceGrant | None:
        """The device whose user is to type that code."""
        return self.session.scalar(select(DeviceGrant).where(DeviceGrant.user_code == user_code))

    def waiting(self) -> int:
        """How many codes there are that have not expired."""
        found = select(func.count()).select_from(DeviceGrant).where(DeviceGrant.expires_at > now())
        return self.session.scalar(found) or 0

    def forget(self, before: Milliseconds) -> None:
        """Remove the codes that had expired before a moment."""
        self.session.execute(delete(DeviceGrant).where(DeviceGrant.expires_at < before))

    def polled(self, device: DeviceGrant, at: Milliseconds, interval: int) -> None:
        """Keep when a device has asked, and how many seconds it is to wait from now on."""
        mine = update(DeviceGrant).where(DeviceGrant.digest == device.digest)
        self.session.execute(mine.values(polled_at=at, interval=interval))

    def decide(self, device: DeviceGrant, user_id: int, maker_id: int | None, *, approved: bool) -> bool:
        """Keep what a user has decided; False where that was done before."""
        mine = update(DeviceGrant).where(DeviceGrant.digest == device.digest, DeviceGrant.approved.is_(None))
        return self.changed(mine.values(approved=approved, user_id=user_id, maker_id=maker_id))

    def take(self, device: DeviceGrant) -> bool:
        """Use a code up; False where that was done before."""
        return self.changed(delete(DeviceGrant).where(DeviceGrant.digest == device.digest))
