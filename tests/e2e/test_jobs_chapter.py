"""The page on jobs without stored secrets runs: with GitLab, GitHub and a cluster that the tests play, and the real
`hf`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.commands import environment_of
from tests.documents import DOCUMENTS
from tests.e2e.environments import client_python
from tests.issuers import FakeIssuer, running_issuer, say
from tests.live import running
from tests.routes.oauth import ci
from tests.shell_commands import forked_commands

ROOT = "root"  # the administrator, whose namespace it is
PAGE = DOCUMENTS["docs/jobs.md"]
JOB_TOKEN = "glcbt-64_abcdefghijklmnopqrst"
PLAYED = {
    "gitlab": "https://gitlab.example.com",
    "github": "https://token.actions.githubusercontent.com",
    "kubernetes": "https://kubernetes.default.svc.cluster.local",
}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_page_runs(tmp_path: Path) -> None:
    with ExitStack() as stack:
        played = {kind: stack.enter_context(running_issuer()) for kind in PLAYED}
        data = tmp_path / "data"
        live = stack.enter_context(running(data, loopback_issuers=True, external_url=ci.AUDIENCE))
        with live.client(live.root_token) as root:
            assert root.post("/projects", json={"name": "trained"}).status_code == 201
        script = "\n".join(["set -euo pipefail", *re.findall(r"^```bash\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)])
        for kind, url in PLAYED.items():
            script = script.replace(url, played[kind].url)
        # The audience stays what the settings say.
        script = script.replace(ci.AUDIENCE, live.url)
        environment = _environment(tmp_path, live.settings.effective_database_url, played)
        environment["PATH"] = f"{stack.enter_context(forked_commands())}:{environment['PATH']}"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=tmp_path,
            env=environment | {"TOKEN": live.root_token},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        assert re.findall(r"version (\d+)$", done.stdout, re.MULTILINE) == ["1", "2"]
        assert re.search(r"\bmyd_\w{49}\b", done.stdout)
        assert ci.SHA in done.stdout.splitlines()
        assert f'"revocation_endpoint":"{ci.AUDIENCE}/oauth/revoke"' in done.stdout
        with httpx2.Client(base_url=live.url, headers={"PRIVATE-TOKEN": live.root_token}) as web:
            events = web.get("/api/v4/audit_events?per_page=100").json()
            assert [each["event_name"] for each in events].count("job_token_revoked") == 1
            for name in ("model.bin", "pod.bin", "job.bin"):
                path = f"/api/v4/projects/root%2Ftrained/packages/ml_models/1/files/{name}"
                assert web.get(path).content == b"weights\n", name
            first = web.get(f"/{ROOT}/trained/-/ml/models/1/versions/1").text
            second = web.get(f"/{ROOT}/trained/-/ml/models/1/versions/2").text
        assert f'<a href="{played["gitlab"].url}/grp/prj/-/jobs/2002" rel="noreferrer">job 2002</a> of grp/prj' in first
        assert "job 3003</a> of Octo/Models" in second
        assert ci.SHA in first
        assert ci.SHA in second
        assert JOB_TOKEN not in done.stdout


def _environment(folder: Path, database_url: str, played: dict[str, FakeIssuer]) -> dict[str, str]:
    gitlab, github, cluster = played["gitlab"], played["github"], played["kubernetes"]
    github.answers["/request"] = say({"value": github.sign(ci.github(github, environment="release"))})
    pipeline = {"id": 1001, "project_id": 42, "source": "push"}
    job: dict[str, Any] = {"id": 2003, "status": "running", "ref": "main", "tag": False, "pipeline": pipeline}
    gitlab.answers["/api/v4/job"] = say(job)
    files = {
        "pod": cluster.sign(ci.pod(cluster)),
        "second": gitlab.sign(ci.gitlab(gitlab)),
        "third": gitlab.sign(ci.gitlab(gitlab)),
    }
    for name, content in files.items():
        (folder / name).write_text(content)
    tools = folder / "tools"
    tools.mkdir()
    (tools / "kubectl").write_text(f"#!/bin/sh\necho '{json.dumps(cluster.jwks())}'\n")
    (tools / "kubectl").chmod(0o755)
    commands = [tools, Path(sys.executable).parent, client_python("hub2").parent]
    return environment_of(folder) | {
        "PATH": ":".join([*map(str, commands), os.environ["PATH"]]),
        "HOME": str(folder),
        "MODELYARD_DATA_DIR": str(folder / "data"),
        "MODELYARD_DATABASE_URL": database_url,
        "MODELYARD_EXTERNAL_URL": ci.AUDIENCE,
        "MODELYARD_LOOPBACK_ISSUERS": "true",
        "YARD_ID": gitlab.sign(ci.gitlab(gitlab)),
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "of-the-runner",
        "ACTIONS_ID_TOKEN_REQUEST_URL": f"{github.url}/request?api-version=2",
        "TOKEN_FILE": str(folder / "pod"),
        "SECOND_ID_FILE": str(folder / "second"),
        "THIRD_ID_FILE": str(folder / "third"),
        "CI_JOB_TOKEN": JOB_TOKEN,
    }
