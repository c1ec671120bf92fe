# SPDX-License-Identifier: Apache-2.0
"""Every way to deploy: a configuration that `collector check` has nothing against; the systemd unit and the compose file are hardened."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml

from otel_revenue.cli.collector._rules import faults
from otel_revenue.cli.collector.check import read
from otel_revenue.schema.events import EVENTS, SCHEMA_VERSION
from otel_revenue.schema.fields import attributes_of
from support.collector import CONFIG, ask

if TYPE_CHECKING:
    from pathlib import Path

STATEFUL_SET = yaml.safe_load((CONFIG / "kubernetes" / "statefulset.yaml").read_text(encoding="utf-8"))
(CONTAINER,) = STATEFUL_SET["spec"]["template"]["spec"]["containers"]
COMPOSE = yaml.safe_load((CONFIG / "compose.yaml").read_text(encoding="utf-8"))
SERVICE = COMPOSE["services"]["collector"]
BACKENDS = {"REVENUE_OTLP_URL": "https://backend.example/otlp", "REVENUE_OTLP_HEADERS": "{}"}


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
