"""The README and the pages of `docs/`, in the order in which their commands run."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = (
    *(
        "files",
        "resumable",
        "client",
        "mlflow",
        "huggingface",
        "jobs",
        "pages",
        "sign-on",
        "permissions",
        "settings",
        "limits",
        "postgresql",
        "buckets",
        "replicas",
    ),
    *("upkeep", "metrics", "audit", "security", "gitlab", "docker", "backup", "architecture"),
)

README = (ROOT / "README.md").read_text()
DOCUMENTS = {"README.md": README} | {f"docs/{name}.md": (ROOT / "docs" / f"{name}.md").read_text() for name in PAGES}
EVERYTHING = "\n".join(DOCUMENTS.values())
