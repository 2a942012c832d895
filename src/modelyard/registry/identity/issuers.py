"""Issuers of id tokens."""

from __future__ import annotations

from sqlalchemy import exists, func, select

from modelyard.registry.base import Repository, storable
from modelyard.registry.tables import Issuer
from modelyard.terms.paging import Page, PageRequest


class IssuerRepository(Repository):
    """Issuers by their URLs and names."""

    def any(self) -> bool:
        """Whether there is any issuer at all."""
        return bool(self.session.scalar(select(exists(select(Issuer.id)))))

    def count(self) -> int:
        """How many there are."""
        return self.session.scalar(select(func.count()).select_from(Issuer)) or 0

    def by_id(self, issuer_id: int) -> Issuer | None:
        """The issuer of that id."""
        return self.session.get(Issuer, storable(issuer_id))

    def by_url(self, url: str) -> Issuer | None:
        """The issuer of exactly that URL."""
        return self.session.scalar(select(Issuer).where(Issuer.url == url))

    def by_name(self, name: str) -> Issuer | None:
        """The issuer of that name."""
        return self.session.scalar(select(Issuer).where(Issuer.name == name))

    def any_audience(self) -> str | None:
        """The audience of the issuer of jobs that was listed first, if there is one."""
        return self.session.scalar(select(Issuer.audience).where(Issuer.jobs).order_by(Issuer.id).limit(1))

    def of_job_tokens(self) -> Issuer | None:
        """The GitLab that is asked for what a CI_JOB_TOKEN is, if one is."""
        return self.session.scalar(select(Issuer).where(Issuer.job_tokens))

    def of_jobs(self) -> list[Issuer]:
        """Those whose jobs projects may trust, the first made first."""
        return list(self.session.scalars(select(Issuer).where(Issuer.jobs).order_by(Issuer.id)))

    def listed(self, request: PageRequest) -> Page[Issuer]:
        """A page of them, the first made first."""
        return self.page(select(Issuer).order_by(Issuer.id), request)

    def add(self, issuer: Issuer) -> Issuer:
        """Insert an issuer; its name and URL must be free."""
        self.session.add(issuer)
        self.session.flush()
        return issuer

    def delete(self, issuer: Issuer) -> None:
        """Remove an issuer with all that hangs on it."""
        self.session.delete(issuer)
        self.session.flush()
