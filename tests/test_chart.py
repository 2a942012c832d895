"""The Helm chart holds: Helm renders it strictly, and what comes out is what Kubernetes and the settings know."""

from __future__ import annotations

import json
import subprocess
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from modelyard import __version__
from modelyard.cli import cli
from modelyard.routes.operations import health
from modelyard.settings import PREFIX, SECRETS, Settings
from tests import tools

CHART = Path(__file__).resolve().parent.parent / "deploy" / "helm" / "modelyard"
ONE_MACHINE, MANY, SHARED_FOLDER = (
    CHART / "ci" / f"{name}-values.yaml" for name in ("one-machine", "many", "shared-folder")
)
ALL = (None, ONE_MACHINE, MANY, SHARED_FOLDER)
KUBERNETES = ("1.27.0", "1.37.0")  # the least that the chart names, and the newest that there is a schema of
SCHEMAS = "kubernetes_validate/kubernetes-json-schema/v{version}-local-strict/{file}.json"
DEFINITIONS = "https://kubernetes.io/api/_definitions.json"

pytestmark = pytest.mark.slow


def helm(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([tools.helm(), *arguments], capture_output=True, text=True, check=False)


@cache
def rendered(values: Path | None = None, *settings: str) -> list[dict[str, Any]]:
    """The objects that a release called modelyard is made of."""
    options = [*(("--values", str(values)) if values else ()), *(part for each in settings for part in ("--set", each))]
    done = helm("template", "modelyard", CHART, *options)
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def of_kind(kind: str, values: Path | None = None, *settings: str) -> list[dict[str, Any]]:
    return [each for each in rendered(values, *settings) if each["kind"] == kind]


def pods(values: Path | None) -> list[dict[str, Any]]:
    """The specifications of all pods."""
    found = []
    for each in rendered(values):
        spec = each.get("spec", {})
        spec = spec["jobTemplate"]["spec"] if each["kind"] == "CronJob" else spec
        if "template" in spec:
            found.append(spec["template"]["spec"])
    return found


def server(values: Path | None) -> dict[str, Any]:
    return next(each for each in pods(values) if each["containers"][0]["name"] == "modelyard")


def variables(pod: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in pod["containers"][0]["env"]}


@pytest.mark.parametrize("values", ALL)
def test_helm_finds_nothing_to_complain_of(values: Path | None) -> None:
    done = helm("lint", "--strict", CHART, *(("--values", values) if values else ()))
    assert done.returncode == 0, done.stdout + done.stderr


@cache
def kubernetes_schema(version: str, file: str) -> dict[str, Any]:
    with zipfile.ZipFile(tools.wheel("kubernetes-validate")) as schemas:
        return dict(json.loads(schemas.read(SCHEMAS.format(version=version, file=file))))


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("values", ALL)
def test_kubernetes_knows_every_field(values: Path | None, version: str) -> None:
    registry = jsonschema_rs.Registry([(DEFINITIONS, kubernetes_schema(version, "_definitions"))])
    objects = rendered(values)
    assert len(objects) >= 5
    for each in objects:
        group, _, group_version = each["apiVersion"].rpartition("/")
        parts = [each["kind"].lower(), *([group.partition(".")[0]] if group else []), group_version]
        schema = kubernetes_schema(version, "-".join(parts))
        jsonschema_rs.validator_for(schema, registry=registry).validate(each)


@pytest.mark.parametrize("values", ALL)
def test_every_variable_is_a_setting_and_every_secret_one_that_exists(values: Path | None) -> None:
    for pod in pods(values):
        found = variables(pod)
        ours = {name.removeprefix(PREFIX).lower() for name in found if name.startswith(PREFIX)}
        assert ours <= set(Settings.model_fields)
        for name, value in found.items():
            if name.removeprefix(PREFIX).lower() in SECRETS or name.startswith("AWS_SECRET"):
                assert set(value) == {"secretKeyRef"}, name
        assert pod["enableServiceLinks"] is False  # else MODELYARD_PORT comes from the service
    assert of_kind("Secret", values) == []


def test_every_probe_asks_a_route_that_exists_and_every_job_is_a_command() -> None:
    routes = {getattr(route, "path", None) for route in health.router.routes}
    probes = [server(MANY)["containers"][0][f"{name}Probe"] for name in ("startup", "liveness", "readiness")]
    assert {probe["httpGet"]["path"] for probe in probes} == {"/-/liveness", "/-/readiness"} <= routes
    commands = [pod["containers"][0]["args"] for pod in pods(ONE_MACHINE) if "args" in pod["containers"][0]]
    assert commands == [["gc"], ["check", "--read"]]
    for command, *options in commands:
        assert set(options) <= {option for parameter in cli.commands[command].params for option in parameter.opts}


def test_one_machine_is_one_server_on_a_volume_that_stays() -> None:
    (workload,) = of_kind("StatefulSet", ONE_MACHINE)
    (claim,) = of_kind("PersistentVolumeClaim", ONE_MACHINE)
    assert workload["spec"]["replicas"] == 1
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    for pod in pods(ONE_MACHINE):
        volumes = {each["name"]: each for each in pod["volumes"]}
        assert volumes["data"]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    for job in of_kind("CronJob", ONE_MACHINE):  # a volume that one node has
        assert "podAffinity" in job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["affinity"]
    assert variables(server(ONE_MACHINE))["MODELYARD_EXTERNAL_URL"] == "https://models.example.com"
    assert of_kind("PodDisruptionBudget", ONE_MACHINE) == []


def test_many_machines_share_a_database_and_a_bucket() -> None:
    (workload,) = of_kind("Deployment", MANY)
    assert workload["spec"]["replicas"] == 3
    assert workload["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert of_kind("PersistentVolumeClaim", MANY) == []
    assert [each["spec"]["maxUnavailable"] for each in of_kind("PodDisruptionBudget", MANY)] == [1]
    for pod in pods(MANY):
        found = variables(pod)
        assert found["MODELYARD_DATABASE_URL"] == {"secretKeyRef": {"name": "modelyard", "key": "database-url"}}
        assert found["MODELYARD_BLOB_URL"] == "s3://models/production"
        assert {each["name"]: each.get("emptyDir") for each in pod["volumes"]} == {"tmp": {}, "data": {}}


def test_a_volume_of_one_node_is_given_up_before_it_is_taken() -> None:
    (workload,) = of_kind("Deployment", None, "database.existingSecret=x", "rootToken.existingSecret=x")
    assert workload["spec"]["strategy"] == {"type": "Recreate"}
    (shared,) = of_kind("Deployment", SHARED_FOLDER)
    assert shared["spec"]["strategy"]["type"] == "RollingUpdate"


@pytest.mark.parametrize("values", ALL)
def test_nobody_is_root_and_nothing_is_written_but_data(values: Path | None) -> None:
    for pod in pods(values):
        security = pod["containers"][0]["securityContext"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert security["readOnlyRootFilesystem"] is True
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert security["allowPrivilegeEscalation"] is False
        assert pod["automountServiceAccountToken"] is False
        assert {each["mountPath"] for each in pod["containers"][0]["volumeMounts"]} == {"/tmp", "/data"}
        assert "limits" in pod["containers"][0]["resources"]


@pytest.mark.parametrize("values", ALL)
def test_a_stop_is_given_the_time_that_it_takes(values: Path | None) -> None:
    found = variables(server(values))
    taken = int(found["MODELYARD_SHUTDOWN_DELAY"]) + int(found["MODELYARD_SHUTDOWN_TIMEOUT"])
    assert int(found["MODELYARD_SHUTDOWN_DELAY"]) > 0
    assert server(values)["terminationGracePeriodSeconds"] > taken + 1


def test_the_ingress_lets_files_pass() -> None:
    (ingress,) = of_kind("Ingress", MANY)
    annotations = {name.rpartition("/")[2]: value for name, value in ingress["metadata"]["annotations"].items()}
    assert annotations["proxy-body-size"] == "0"
    assert annotations["proxy-request-buffering"] == annotations["proxy-buffering"] == "off"
    assert int(annotations["proxy-read-timeout"]) >= 3600
    assert "rewrite-target" not in annotations


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (["replicas=2"], "more than one needs PostgreSQL"),
        (["replicas=2", "database.existingSecret=x", "rootToken.existingSecret=x"], "ReadWriteMany"),
        (["database.existingSecret=x"], "set rootToken.existingSecret"),
        (["ingress.enabled=true"], "ingress.host"),
        (["ingress.enabled=true", "ingress.host=x"], "set settings.MODELYARD_TRUSTED_PROXIES"),
        (["ingress.enabled=true", "ingress.host=x", "settings.MODELYARD_TRUSTED_PROXIES="], "all clients are one"),
        (["ingress.enabled=true", "ingress.host=x", "extraEnv[0].name=TZ", "extraEnv[0].value=UTC"], "all clients are"),
        (["replcas=2"], "replcas"),
        (["replicas=0"], "replicas"),
        (["blobs.url=file:///srv"], "/blobs/url"),
        (["settings.PORT=1"], "settings"),
        (["gc.schedule=daily"], "schedule"),
    ],
)
def test_values_that_cannot_work_are_refused(settings: list[str], reason: str) -> None:
    options = [part for each in settings for part in ("--set", each)]
    done = helm("template", "modelyard", CHART, *options)
    assert done.returncode != 0
    assert reason in done.stderr


@pytest.mark.parametrize(
    "said",
    [
        ["settings.MODELYARD_TRUSTED_PROXIES=10.0.0.0/8"],
        ["extraEnv[0].name=MODELYARD_TRUSTED_PROXIES", "extraEnv[0].value=10.0.0.0/8"],
        ["extraEnv[0].name=MODELYARD_TRUSTED_PROXIES", "extraEnv[0].valueFrom.configMapKeyRef.name=x"],
    ],
)
def test_whose_forwarded_addresses_are_believed_may_be_said_in_each_way(said: list[str]) -> None:
    (ingress,) = of_kind("Ingress", None, "ingress.enabled=true", "ingress.host=x", *said)
    assert ingress["spec"]["rules"][0]["host"] == "x"


def test_every_value_is_in_the_schema_and_documented_by_its_default() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert set(schema["properties"]) - {"global"} == set(yaml.safe_load((CHART / "values.yaml").read_text()))


def test_names_are_short_enough_however_long_the_release_is() -> None:
    done = helm("template", "r" * 53, CHART)
    names = [(each["kind"], each["metadata"]["name"]) for each in yaml.safe_load_all(done.stdout)]
    assert {len(name) <= 52 for _kind, name in names} == {True}  # of a CronJob; others may have 63
    assert len(set(names)) == len(names)


def test_what_is_said_of_pods_reaches_them() -> None:
    (workload,) = of_kind("Deployment", MANY)
    template = workload["spec"]["template"]
    assert template["metadata"]["labels"]["team"] == "models"
    assert template["metadata"]["annotations"] == {"example.com/scrape": "false"}
    for pod in pods(MANY):
        assert pod["nodeSelector"] == {"disk": "fast"}
        assert pod["imagePullSecrets"] == [{"name": "registry"}]
        assert [each["key"] for each in pod["tolerations"]] == ["dedicated"]
        assert pod["containers"][0]["image"] == "registry.example.com/modelyard:0.1.0"


def test_versions_agree() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)
    assert server(None)["containers"][0]["image"] == f"modelyard:{__version__}"
