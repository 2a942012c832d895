"""Whose claims an issuer's tokens have."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """Whose claims an issuer's tokens have."""

    GITLAB = "gitlab"
    GITHUB = "github"
    KUBERNETES = "kubernetes"
    GENERIC = "generic"
