"""What an issuer or a publisher opened, closed from the next request on."""

from __future__ import annotations

import orjson

from modelyard.registry.repository import Registry
from modelyard.registry.tables import Issuer, TrustedPublisher


def end_tokens(registry: Registry, issuer: Issuer) -> None:
    """End all that jobs of an issuer have, from the next request on."""
    registry.locks.issuer(issuer.id)
    registry.publishers.revoke_tokens([each.id for each in registry.publishers.of_issuer(issuer.id)])


def end_publishers(registry: Registry, issuer: Issuer) -> None:
    """End all publishers of an issuer, their tokens and the memberships of their bots."""
    end_tokens(registry, issuer)
    for each in registry.publishers.of_issuer(issuer.id):
        project = registry.projects.by_id(each.project_id)
        facts = {"remove": "trusted_publisher", **told(each, issuer)}
        registry.audit.note("trusted_publisher_destroyed", each, facts, entity=project)
        if membership := registry.members.find(each.project_id, each.user_id):
            registry.members.delete(membership[0])
        registry.publishers.delete(each)


def told(publisher: TrustedPublisher, issuer: Issuer) -> dict[str, object]:
    """What the audit trail has of a publisher."""
    return {
        "issuer": issuer.url,
        "claims": orjson.loads(publisher.claims),
        "ref": publisher.ref,
        "ref_protected": publisher.ref_protected,
        "environment": publisher.environment,
        "events": publisher.events,
        "access_level": publisher.access_level,
    }
