# SPDX-License-Identifier: Apache-2.0
"""The manifests of collector-config/kubernetes: valid by Kubernetes' own schemas, of one piece, and allowed little."""

from __future__ import annotations

from typing import Any

import kubernetes_validate
import pytest
import yaml

from support.collector import CONFIG
from support.layers import LAYERS

FOLDER = CONFIG / "kubernetes"
DOCUMENTS = [
    document
    for path in sorted(FOLDER.glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
]
KUSTOMIZATION = yaml.safe_load((CONFIG / "kustomization.yaml").read_text(encoding="utf-8"))
SCHEMA = "1.31"
"""The oldest Kubernetes that the manifests are held against."""


def of_kind(kind: str) -> list[dict[str, Any]]:
    """Return the manifests of one kind."""
    return [document for document in DOCUMENTS if document["kind"] == kind]


(STATEFUL_SET,), (POLICY,), (MONITOR,) = of_kind("StatefulSet"), of_kind("NetworkPolicy"), of_kind("ServiceMonitor")
POD = STATEFUL_SET["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]


@pytest.mark.parametrize(
    "document",
    [pytest.param(d, id=f"{d['kind']}:{d['metadata']['name']}") for d in DOCUMENTS if d["kind"] != "ServiceMonitor"],
)
def test_kubernetes_knows_every_key(document: dict[str, Any]) -> None:
    """Each manifest is valid by Kubernetes' own schema, with no key that it does not know."""
    kubernetes_validate.validate(document, SCHEMA, strict=True)


def test_the_check_sees_a_misspelt_key() -> None:
    """A key that Kubernetes does not know is found, deep inside."""
    spoilt = yaml.safe_load(yaml.safe_dump(STATEFUL_SET).replace("fsGroup:", "fsgroup:"))

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(spoilt, SCHEMA, strict=True)


def test_the_kustomization_names_each_file_once() -> None:
    """Every manifest but the example of secrets is a resource, and every layer of the configuration is in the ConfigMap."""
    (generated,) = KUSTOMIZATION["configMapGenerator"]
    files = [entry.rpartition("=")[2] for entry in generated["files"]]
    manifests = [path.relative_to(CONFIG).as_posix() for path in FOLDER.glob("*.yaml")]

    assert (sorted(LAYERS), sorted(manifests)) == (
        sorted(files),
        sorted([*KUSTOMIZATION["resources"], "kubernetes/secrets.example.yaml"]),
    )


def test_the_configmap_fits() -> None:
    """`kubectl apply` keeps a copy of what it applied in an annotation, which may hold 256 KiB: the ConfigMap is well below."""
    (generated,) = KUSTOMIZATION["configMapGenerator"]

    assert sum((CONFIG / entry.rpartition("=")[2]).stat().st_size for entry in generated["files"]) < 200 * 1024


def test_every_selector_means_the_collectors_pods() -> None:
    """Services, budget, policy and the set itself select the labels that the pods have."""
    services = [service["spec"]["selector"] for service in of_kind("Service")]
    (budget,) = of_kind("PodDisruptionBudget")
    others = [STATEFUL_SET["spec"]["selector"], budget["spec"]["selector"], POLICY["spec"]["podSelector"]]
    labels = STATEFUL_SET["spec"]["template"]["metadata"]["labels"]

    assert [labels] * 5 == [*services, *(other["matchLabels"] for other in others)]


def test_names_lead_to_each_other() -> None:
    """ConfigMap, secrets, headless service and volumes are those that the pod asks for."""
    (headless,) = (service for service in of_kind("Service") if service["spec"].get("clusterIP") == "None")
    volumes = {v["name"]: v for v in POD["volumes"]}
    claims = {claim["metadata"]["name"] for claim in STATEFUL_SET["spec"]["volumeClaimTemplates"]}
    secrets = {volumes["token"]["secret"]["secretName"], *(e["secretRef"]["name"] for e in CONTAINER["envFrom"])}

    assert (
        headless["metadata"]["name"],
        KUSTOMIZATION["configMapGenerator"][0]["name"],
        {secret["metadata"]["name"] for secret in of_kind("Secret")},
        {mount["name"] for mount in CONTAINER["volumeMounts"]},
    ) == (STATEFUL_SET["spec"]["serviceName"], volumes["config"]["configMap"]["name"], secrets, volumes.keys() | claims)


def test_every_port_is_one_that_the_pod_has() -> None:
    """Services, probes and the network policy name ports of the container."""
    targets = {port["targetPort"] for service in of_kind("Service") for port in service["spec"]["ports"]}
    probed = {CONTAINER[f"{kind}Probe"]["httpGet"]["port"] for kind in ("startup", "readiness", "liveness")}
    admitted = {port["port"] for rule in POLICY["spec"]["ingress"] for port in rule["ports"]}

    assert set() == (targets | probed | admitted) - {port["name"] for port in CONTAINER["ports"]}


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
        of_kind("Namespace")[0]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"],
    )


def test_memory_limits_leave_room_for_each_other() -> None:
    """Go's limit is 80 % of the container's, and the limiter's heap is below it: the Collector refuses before it is killed."""
    environ = {e["name"]: e["value"] for e in CONTAINER["env"]}
    limit = {"1Gi": 1024}[CONTAINER["resources"]["limits"]["memory"]]
    go = int(environ["GOMEMLIMIT"].removesuffix("MiB"))

    assert (True, True) == (0.79 * limit < go < 0.81 * limit, int(environ["REVENUE_MEMORY_LIMIT_MIB"]) < go)


def test_the_service_monitor_finds_the_services_port() -> None:
    """The custom resource, whose schema Kubernetes does not have, selects the service that has the port, under that name."""
    monitor = MONITOR
    wanted = monitor["spec"]["selector"]["matchLabels"]
    (found,) = [s for s in of_kind("Service") if wanted.items() <= s["metadata"]["labels"].items()]

    assert ("monitoring.coreos.com/v1", {"selector", "endpoints"}, {"port", "interval"}, True) == (
        monitor["apiVersion"],
        set(monitor["spec"]),
        {key for endpoint in monitor["spec"]["endpoints"] for key in endpoint},
        {e["port"] for e in monitor["spec"]["endpoints"]} <= {p["name"] for p in found["spec"]["ports"]},
    )
