"""The command as shells of tests find it: what it is given, what it says, and how it ends."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.commands import environment_of
from tests.shell_commands import forked_commands


def test_it_reads_says_and_ends_as_by_itself_and_one_beside_the_other(tmp_path: Path) -> None:
    script = (
        "modelyard nonsense; echo $?; modelyard --version | cat; cd data && modelyard migrate && ls;"
        " modelyard user create ada >token && echo 'a password of twelve characters' | modelyard user password root"
    )
    (tmp_path / "data").mkdir()
    with forked_commands() as commands:
        environment = environment_of(tmp_path)
        environment |= {"PATH": f"{commands}:{environment['PATH']}", "MODELYARD_DATA_DIR": str(tmp_path / "data")}
        options = {"cwd": tmp_path, "env": environment, "capture_output": True, "text": True}
        done = subprocess.run(["bash", "-c", script], check=False, **options)  # type: ignore[call-overload]
    said = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert said[:1] == ["2"]
    assert said[1].startswith("modelyard, version ")
    assert "root-token" in said
    assert "No such command" in done.stderr
    assert (tmp_path / "data" / "token").read_text() == "2\n"  # her id
