"""Renew the pins: exact versions with hashes for every platform, and no address of where they come from."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
UV = Path(sys.executable).with_name("uv")
OPTIONS = (
    "--universal",
    "--python-version=3.11",
    "--generate-hashes",
    "--upgrade",
    "--no-annotate",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--custom-compile-command=make pins",
    "--quiet",
)


def renew(name: str, *sources: str) -> None:
    """Write `<name>.txt` from requirement files and options."""
    subprocess.run([UV, "pip", "compile", *OPTIONS, *sources, f"--output-file={HERE / name}.txt"], check=True)  # noqa: S603


def renew_npm(name: str) -> None:
    """Write the lock file of an npm package that tests start."""
    options = ("--package-lock-only", "--omit-lockfile-registry-resolved", "--ignore-scripts", "--no-audit", "--silent")
    (HERE / name / "package-lock.json").unlink(missing_ok=True)
    subprocess.run(["npm", "install", *options, f"--prefix={HERE / name}"], check=True)  # noqa: S603, S607


if __name__ == "__main__":
    project = str(HERE.parent / "pyproject.toml")
    renew("runtime", project)
    renew("s3", project, "--extra=s3", f"--constraint={HERE / 'runtime.txt'}")
    renew("build", str(HERE / "build.in"), f"--constraint={HERE / 'runtime.txt'}")
    renew("postgres", project, "--extra=postgres", f"--constraint={HERE / 's3.txt'}")
    renew("dev", project, "--extra=dev", f"--constraint={HERE / 's3.txt'}")
    renew("tools", str(HERE / "tools.in"), "--no-deps")  # what tests/tools.py unpacks
    for client in sorted((HERE / "clients").glob("*.in")):  # each in an environment of its own, for tests/e2e
        renew(f"clients/{client.stem}", str(client))
    renew("bench", project, "--extra=bench", f"--constraint={HERE / 'dev.txt'}")
    renew_npm("s3rver")
    renew_npm("tus")
    renew_npm("oidc-provider")
