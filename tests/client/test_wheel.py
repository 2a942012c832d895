"""The client's own wheel: it has what it needs, nothing of the server, and little of anything."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MOST_BYTES = 10_000_000


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, f"--wheel-dir={folder}", str(ROOT / "deploy" / "client")], check=True)
    (found,) = folder.glob("modelyard_client-*.whl")
    return found


def requirements() -> list[str]:
    project = tomllib.loads((ROOT / "deploy" / "client" / "pyproject.toml").read_text())["project"]
    return [requirement.partition(">")[0] for requirement in project["dependencies"]]


def test_it_has_the_client_its_command_and_the_server_s_version(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (points,) = [archive.read(name).decode() for name in names if name.endswith("entry_points.txt")]
        (about,) = [archive.read(name).decode() for name in names if name.endswith("METADATA")]
    assert {name.partition("/")[0] for name in names if ".dist-info" not in name} == {"modelyard_client"}
    assert "modelyard_client/py.typed" in names
    assert "myd = modelyard_client.cli.entry:main" in points
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f"\nVersion: {version}\n" in about


def test_it_needs_what_the_server_s_package_needs_too() -> None:
    ours = tomllib.loads((ROOT / "deploy" / "client" / "pyproject.toml").read_text())["project"]["dependencies"]
    server = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert set(ours) <= set(server)


def test_it_takes_less_than_ten_megabytes_with_all_that_it_needs(wheel: Path, tmp_path: Path) -> None:
    install(wheel, tmp_path)
    size = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    for name in requirements():
        needs = [need for need in metadata.requires(name) or [] if "extra ==" not in need and "Windows" not in need]
        assert needs == []
        files = [Path(str(file.locate())) for file in metadata.files(name) or []]
        size += sum(file.stat().st_size for file in files if file.is_file())
    assert 100_000 < size < MOST_BYTES


def test_it_works_where_nothing_else_is_installed(wheel: Path, tmp_path: Path) -> None:
    install(wheel, tmp_path)
    for name in requirements():
        (tmp_path / name).symlink_to(str(metadata.distribution(name).locate_file(name)))
    script = "import sys, modelyard_client.registry\nfrom modelyard_client.cli.main import main\nmain()"
    environment = {"PATH": os.defpath, "PYTHONPATH": str(tmp_path), "HOME": str(tmp_path)}
    python = [sys.executable, "-S", "-c", script]
    done = subprocess.run([*python, "--help"], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "push" in done.stdout
    done = subprocess.run([*python, "whoami"], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.startswith("myd: No server is known")) == (2, True)


def install(wheel: Path, folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", f"--target={folder}"]
    subprocess.run([*command, str(wheel)], check=True)
