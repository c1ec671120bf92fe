# SPDX-License-Identifier: Apache-2.0
"""The manifests, the unit and the compose file: valid, hardened, and with a configuration that `collector check` has nothing against."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import kubernetes_validate
import pytest
import yaml

from otel_revenue.cli.collector._rules import faults
from otel_revenue.cli.collector.check import read
from otel_revenue.schema.events import EVENTS, SCHEMA_VERSION
from otel_revenue.schema.fields import attributes_of
from support.collector import CONFIG, ask

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = CONFIG / "kubernetes"
DOCUMENTS = [
    pytest.param(document, id=f"{path.stem}:{document['kind']}")
    for path in sorted(FOLDER.glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
]
KUSTOMIZATION = yaml.safe_load((CONFIG / "kustomization.yaml").read_text(encoding="utf-8"))
BACKENDS = {"REVENUE_OTLP_URL": "https://backend.example/otlp", "REVENUE_OTLP_HEADERS": "{}"}


def manifest(name: str, kind: str) -> dict[str, Any]:
    """Return the document of a file."""
    documents = yaml.safe_load_all((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    return next(document for document in documents if document["kind"] == kind)


STATEFUL_SET = manifest("statefulset", "StatefulSet")
POD = STATEFUL_SET["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]
COMPOSE = yaml.safe_load((CONFIG / "compose.yaml").read_text(encoding="utf-8"))
SERVICE = COMPOSE["services"]["collector"]


def unit() -> dict[str, list[str]]:
    """Return the systemd unit's settings, each with its values in order."""
    found: dict[str, list[str]] = {}
    text = (CONFIG / "systemd" / "otel-revenue-collector.service").read_text(encoding="utf-8")
    for line in text.replace("\\\n", " ").splitlines():
        if "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


UNIT = unit()


def layers(words: list[str]) -> list[str]:
    """Return the files of collector-config/ that `--config` options name where they are mounted."""
    names = [word.partition("=")[2] for word in words if word.startswith("--config=")]
    return [
        name if (CONFIG / name).is_file() else f"backends/{name}"
        for name in (re.sub("^/etc/otel-revenue/(collector/)?", "", n) for n in names)
    ]


DEPLOYMENTS = {
    "kubernetes": (layers(CONTAINER["args"]), {e["name"]: e["value"] for e in CONTAINER["env"]} | BACKENDS),
    "compose": (layers(SERVICE["command"]), SERVICE["environment"] | BACKENDS),
    "systemd": (
        layers(UNIT["ExecStart"][0].split()),
        dict(pair.split("=", 1) for pair in UNIT["Environment"])
        | BACKENDS
        | {"REVENUE_RECORD": "otlp_http/otlp_record"},
    ),
}


# -- what they start ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("files", "environ"), DEPLOYMENTS.values(), ids=DEPLOYMENTS)
def test_what_is_deployed_has_no_fault(files: list[str], environ: dict[str, str]) -> None:
    """The files and variables of each way to deploy pass our own check, and the Collector's."""
    attributes = {name for event in EVENTS for name in attributes_of(event)}
    found = faults([read(str(CONFIG / name)) for name in files], environ, attributes, SCHEMA_VERSION)
    said = ask("validate", files, environ)

    assert ([], 0) == (found, said.returncode), said.stderr


@pytest.mark.parametrize("environ", [environ for _, environ in DEPLOYMENTS.values()], ids=DEPLOYMENTS)
def test_each_variable_is_one_that_the_files_read(environ: dict[str, str]) -> None:
    """No variable of a deployment is misspelt: each is read by a file, or is Go's."""
    text = "".join(
        path.read_text(encoding="utf-8") for path in [CONFIG / "base.yaml", *(CONFIG / "backends").glob("*.yaml")]
    )

    assert [] == [name for name in environ if name != "GOMEMLIMIT" and f"${{env:{name}" not in text]


def test_every_way_runs_the_version_that_is_built_and_tried() -> None:
    """Image and build have one version."""
    built = yaml.safe_load((CONFIG / "builder-config.yaml").read_text(encoding="utf-8"))["dist"]["version"]

    assert {f"otel/opentelemetry-collector-contrib:{built}"} == {CONTAINER["image"], SERVICE["image"]}


# -- Kubernetes -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", [d for d in DOCUMENTS if d.values[0]["kind"] != "ServiceMonitor"])
def test_kubernetes_knows_every_key(document: dict[str, Any]) -> None:
    """Each manifest is valid by Kubernetes' own schema, with no key that it does not know."""
    kubernetes_validate.validate(document, "1.31", strict=True)


def test_the_check_sees_a_misspelt_key() -> None:
    """A key that Kubernetes does not know is found, deep inside."""
    spoilt = yaml.safe_load(yaml.safe_dump(STATEFUL_SET).replace("fsGroup:", "fsgroup:"))

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(spoilt, "1.31", strict=True)


def test_the_kustomization_names_each_file_once() -> None:
    """Every manifest but the example of secrets is a resource, and every layer of the configuration is in the ConfigMap."""
    (generated,) = KUSTOMIZATION["configMapGenerator"]
    files = [entry.rpartition("=")[2] for entry in generated["files"]]
    wanted = ["base.yaml", "allowlist.yaml", "browser.yaml", "metrics.yaml"]
    backends = sorted(path.relative_to(CONFIG).as_posix() for path in (CONFIG / "backends").glob("*.yaml"))
    manifests = sorted(path.relative_to(CONFIG).as_posix() for path in FOLDER.glob("*.yaml"))

    assert ([*wanted, *backends], manifests) == (
        [*files[:4], *sorted(files[4:])],
        sorted([*KUSTOMIZATION["resources"], "kubernetes/secrets.example.yaml"]),
    )


def test_the_configmap_fits() -> None:
    """A ConfigMap may hold 1 MiB; the configuration takes less than half of it."""
    (generated,) = KUSTOMIZATION["configMapGenerator"]

    assert sum((CONFIG / entry.rpartition("=")[2]).stat().st_size for entry in generated["files"]) < 512 * 1024


def test_names_lead_to_each_other() -> None:
    """ConfigMap, secrets, services, volumes, ports and labels are those that the others mean."""
    labels = STATEFUL_SET["spec"]["template"]["metadata"]["labels"]
    headless = next(d.values[0] for d in DOCUMENTS if d.values[0].get("spec", {}).get("clusterIP") == "None")
    volumes = {v["name"]: v for v in POD["volumes"]} | {
        v["metadata"]["name"]: v for v in STATEFUL_SET["spec"]["volumeClaimTemplates"]
    }
    ports = {port["name"] for port in CONTAINER["ports"]}
    selectors = [d.values[0]["spec"]["selector"] for d in DOCUMENTS if d.values[0]["kind"] == "Service"] + [
        STATEFUL_SET["spec"]["selector"]["matchLabels"],
        manifest("poddisruptionbudget", "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        manifest("networkpolicy", "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
    ]
    named = [
        p["targetPort"] for d in DOCUMENTS if d.values[0]["kind"] == "Service" for p in d.values[0]["spec"]["ports"]
    ]
    probes = [CONTAINER[probe]["httpGet"]["port"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")]
    admitted = [
        p["port"] for rule in manifest("networkpolicy", "NetworkPolicy")["spec"]["ingress"] for p in rule["ports"]
    ]
    secrets = {d.values[0]["metadata"]["name"] for d in DOCUMENTS if d.values[0]["kind"] == "Secret"}
    asked = {volumes["token"]["secret"]["secretName"], *(e["secretRef"]["name"] for e in CONTAINER["envFrom"])}

    assert [labels] * len(selectors) == selectors
    assert (headless["metadata"]["name"], KUSTOMIZATION["configMapGenerator"][0]["name"], secrets) == (
        STATEFUL_SET["spec"]["serviceName"], volumes["config"]["configMap"]["name"], asked,
    )  # fmt: skip
    assert (set(volumes), set()) == (
        {m["name"] for m in CONTAINER["volumeMounts"]},
        {*named, *probes, *admitted} - ports,
    )


def test_the_queue_is_on_a_volume_of_its_pod_alone() -> None:
    """The queue's folder is below the mount of a claim that one pod may use, kept at scale-down, writable by the user."""
    (claim,) = STATEFUL_SET["spec"]["volumeClaimTemplates"]
    mount = next(m["mountPath"] for m in CONTAINER["volumeMounts"] if m["name"] == claim["metadata"]["name"])
    directory = next(e["value"] for e in CONTAINER["env"] if e["name"] == "REVENUE_QUEUE_DIR")

    assert (True, ["ReadWriteOncePod"], {"whenDeleted": "Retain", "whenScaled": "Retain"}, True) == (
        directory.startswith(f"{mount}/"),
        claim["spec"]["accessModes"],
        STATEFUL_SET["spec"]["persistentVolumeClaimRetentionPolicy"],
        POD["securityContext"]["fsGroup"] == POD["securityContext"]["runAsGroup"],
    )


def test_the_pod_may_do_little() -> None:
    """What the Pod Security Standard `restricted` asks for, a read-only root and no token of the API server."""
    standard = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    container = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}

    assert (standard, container, False, "restricted") == (
        {key: POD["securityContext"].get(key) for key in standard},
        CONTAINER["securityContext"],
        POD["automountServiceAccountToken"],
        manifest("namespace", "Namespace")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"],
    )


def test_memory_limits_leave_room_for_each_other() -> None:
    """Go's limit is 80 % of the container's, and the limiter's heap is below it: the Collector refuses before it is killed."""
    environ = {e["name"]: e["value"] for e in CONTAINER["env"]}
    limit = {"1Gi": 1024}[CONTAINER["resources"]["limits"]["memory"]]
    go = int(environ["GOMEMLIMIT"].removesuffix("MiB"))

    assert (True, True) == (0.79 * limit < go < 0.81 * limit, int(environ["REVENUE_MEMORY_LIMIT_MIB"]) < go)


def test_the_service_monitor_finds_the_services_port() -> None:
    """The custom resource, whose schema Kubernetes does not have, selects the service that has the port, under that name."""
    monitor = manifest("servicemonitor", "ServiceMonitor")
    wanted = monitor["spec"]["selector"]["matchLabels"]
    services = [d.values[0] for d in DOCUMENTS if d.values[0]["kind"] == "Service"]
    (found,) = [s for s in services if wanted.items() <= s["metadata"]["labels"].items()]

    assert ("monitoring.coreos.com/v1", {"selector", "endpoints"}, {"port", "interval"}, True) == (
        monitor["apiVersion"],
        set(monitor["spec"]),
        {key for endpoint in monitor["spec"]["endpoints"] for key in endpoint},
        {e["port"] for e in monitor["spec"]["endpoints"]} <= {p["name"] for p in found["spec"]["ports"]},
    )


# -- systemd --------------------------------------------------------------------------------------------------------------------


def test_the_unit_may_do_little() -> None:
    """A user of its own, one folder to write, no privilege to gain."""
    wanted = {
        "DynamicUser": "yes",
        "StateDirectory": "otel-revenue",
        "NoNewPrivileges": "yes",
        "ProtectSystem": "strict",
        "ProtectHome": "yes",
        "PrivateTmp": "yes",
        "CapabilityBoundingSet": "",
        "MemoryDenyWriteExecute": "yes",
        "UMask": "0077",
    }

    assert {name: [value] for name, value in wanted.items()} == {name: UNIT.get(name) for name in wanted}


def test_the_units_secrets_are_in_no_argument() -> None:
    """Token and keys come by credential and by a file that root alone reads, and the queue is in the folder of the unit."""
    assert (["token:/etc/otel-revenue/token"], ["/etc/otel-revenue/collector.env"], True, True) == (
        UNIT["LoadCredential"],
        UNIT["EnvironmentFile"],
        "REVENUE_INGEST_TOKEN_FILE=%d/token" in UNIT["Environment"],
        "REVENUE_QUEUE_DIR=%S/otel-revenue/queue" in UNIT["Environment"],
    )


def test_systemd_reads_the_unit(tmp_path: Path) -> None:
    """Where systemd is installed, its own check has nothing to say; everywhere, each line is a section, a setting or a comment."""
    text = (CONFIG / "systemd" / "otel-revenue-collector.service").read_text(encoding="utf-8")
    odd = [
        line for line in text.replace("\\\n", " ").splitlines() if not re.fullmatch(r"|#.*|\[\w+\]|[A-Z]\w+=.*", line)
    ]
    said = ""
    if shutil.which("systemd-analyze"):
        (tmp_path / "otel-revenue-collector.service").write_text(text.replace("/usr/bin/otelcol-contrib", "/bin/true"))
        done = subprocess.run(
            ["systemd-analyze", "verify", str(tmp_path / "otel-revenue-collector.service")],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        said = done.stdout + done.stderr

    assert ([], "") == (odd, said)


# -- compose --------------------------------------------------------------------------------------------------------------------

OF_A_SERVICE = set(
    "image command depends_on env_file environment volumes secrets ports user read_only cap_drop security_opt mem_limit restart "
    "stop_grace_period network_mode".split()
)  # fmt: skip
"""Those of the Compose specification that the file uses."""


def test_the_compose_file_has_the_specifications_keys() -> None:
    """Only keys of the Compose specification, and each volume, secret and dependency is declared."""
    services = COMPOSE["services"].values()
    mounts = [volume.split(":")[0] for service in services for volume in service["volumes"]]
    depended = [name for service in services for name in service.get("depends_on", {})]

    assert (set(), set()) == (
        set(COMPOSE) - {"name", "services", "volumes", "secrets"},
        {key for service in services for key in service} - OF_A_SERVICE,
    )
    assert ([], [], []) == (
        [mount for mount in mounts if mount not in COMPOSE["volumes"] and not (CONFIG / mount).exists()],
        [name for name in SERVICE["secrets"] if name not in COMPOSE["secrets"]],
        [name for name in depended if name not in COMPOSE["services"]],
    )


def test_compose_opens_nothing_to_others_and_keeps_the_queue() -> None:
    """Ports are this machine's alone, the queue is on a named volume that its user owns, the rest may not be written."""
    assert (True, True, True, ["ALL"], SERVICE["user"]) == (
        all(port.startswith("127.0.0.1:") for port in SERVICE["ports"]),
        "queue:/var/lib/otel-revenue" in SERVICE["volumes"],
        SERVICE["read_only"],
        SERVICE["cap_drop"],
        COMPOSE["services"]["queue-owner"]["command"][2],
    )
