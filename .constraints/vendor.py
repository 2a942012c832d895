"""Lay what browsers load of others' work into `static/vendor/`, from packages of npm: their files, and licences.

`vendor.py` takes the versions that `vendor.toml` names, and refuses a package or a file with another digest; where none
is written there, it prints it. Only maintainers run it: its results are committed.
"""

from __future__ import annotations

import base64
import hashlib
import subprocess
import tarfile
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PAGES = Path(__file__).parent.parent / "src" / "modelyard" / "routes" / "pages"
TARGET = PAGES / "static" / "vendor"


def digest(kind: str, content: bytes) -> str:
    """A digest as Subresource Integrity writes it."""
    return f"{kind}-{base64.b64encode(hashlib.new(kind, content).digest()).decode()}"


def take(file: dict[str, Any], folder: str) -> None:
    """Lay one file and its licence there. Raises SystemExit for another digest than is known."""
    named = f"{file['package']}@{file['version']}"
    done = subprocess.run(  # noqa: S603
        ["npm", "pack", "--silent", "--pack-destination", folder, named],  # noqa: S607
        check=True,
        capture_output=True,
        text=True,
    )
    tarball = Path(folder) / done.stdout.strip()
    hold(named, "tarball", file["tarball"], digest("sha512", tarball.read_bytes()))
    with tarfile.open(tarball) as archive:
        content = member(archive, file["member"])
        hold(named, "integrity", file["integrity"], digest("sha384", content))
        (TARGET / file["name"]).write_bytes(content)
        for name, source in licences(file, archive.getnames()):
            (TARGET / name).write_bytes(member(archive, source))


def licences(file: dict[str, Any], members: list[str]) -> Iterator[tuple[str, str]]:
    """What a package says of its licence, of its authors, and of others' work that a file of it has: names, members."""
    told = {f"{file['member']}.LICENSE.txt": file["name"], "LICEN": file["package"], "NOTICE": file["package"]}
    for path in (name.removeprefix("package/") for name in members):
        for beginning, whose in told.items():
            if path.upper().startswith(beginning.upper()):
                yield f"{whose}.{'notice' if beginning == 'NOTICE' else 'license'}.txt", path


def member(archive: tarfile.TarFile, name: str) -> bytes:
    """The content of a file in a package."""
    found = archive.extractfile(f"package/{name}")
    if found is None:
        raise SystemExit(f"there is no {name}")
    return found.read()


def hold(named: str, what: str, known: str, found: str) -> None:
    """Refuse another digest than the one that is known; tell one that is not known yet."""
    if not known:
        print(f'{named}: {what} = "{found}"')  # noqa: T201
    elif known != found:
        raise SystemExit(f"{named}: {what} is {found}, not {known}")


if __name__ == "__main__":
    TARGET.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for file in tomllib.loads((PAGES / "vendor.toml").read_text())["file"]:
            take(file, folder)
