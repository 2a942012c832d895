"""modelyard: a self-hosted model registry that speaks GitLab's model registry API."""

__version__ = "0.1.0"
