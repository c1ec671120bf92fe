# SPDX-License-Identifier: Apache-2.0
"""Every backend's file on a real Collector: alone, in any company, without what it needs, and through what the table shows."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import yaml

from collector.backends.play import COLUMNS
from collector.backends.table import BACKENDS, Backend
from otel_revenue import cli
from support import layers
from support.collector import BASE, CONFIG, OLDER, PROGRAM, ask

if TYPE_CHECKING:
    from pathlib import Path

MONEY = "backends/bridge.yaml"
"""A backend that takes payments, for the company of those that take none."""


@pytest.mark.parametrize(
    ("backend", "column"),
    [
        pytest.param(backend, column, id=f"{backend.name}-{column.replace(' ', '-')}")
        for backend in BACKENDS
        for column in backend.quick
    ],
)
def test_a_backend_does_what_the_table_says(backend: Backend, column: str, tmp_path: Path) -> None:
    """
    Killed, beside a dead one, refused: nothing is lost, sent twice without need, or let out that should stay in.
    """
    cell = COLUMNS[column](backend, tmp_path, 10)

    assert [] == cell.problems


NEWER = {"clickhouse", "archive-file", "tracing", "prometheus-remote-write"}
"""What the older program has no parts for."""


@pytest.mark.parametrize("program", [PROGRAM, OLDER])
def test_any_combination_loads(program: str, tmp_path: Path) -> None:
    """
    All files of backends load together, with the layers for metrics and browsers, as do any two of them. Each alone is in the table.
    """
    there = [
        backend
        for backend in BACKENDS
        if (backend.program == PROGRAM if program == PROGRAM else backend.name not in NEWER)
    ]
    pairs = [pair for pair in itertools.combinations(there, 2) if program in {backend.program for backend in pair}]
    environ = {"REVENUE_RECORD": "nop/queued", "REVENUE_BROWSER_ORIGINS": "[]"}
    for backend in BACKENDS:
        environ |= backend.sink(tmp_path).variables

    def refusal(company: tuple[Backend, ...]) -> str:
        layers = ("metrics.yaml", "browser.yaml") if len(company) > 2 and program == PROGRAM else ()
        files = dict.fromkeys([*BASE, *layers, *(backend.file for backend in company), MONEY])
        answer = ask("validate", list(files), environ, program)
        return f"{[backend.name for backend in company]}: {answer.stderr}" if answer.returncode else ""

    with ThreadPoolExecutor(2) as pool:
        refusals = [text for text in pool.map(refusal, [*pairs, tuple(there)]) if text]

    assert [] == refusals


def test_all_files_are_one_sound_configuration(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    No program of ours has the parts for all files, but nothing is to be found in the layers of all of them, S3's included.
    """
    files = [*BASE, "metrics.yaml", "browser.yaml", *layers.BACKENDS]
    for name, value in layers.environment(*files).items():
        monkeypatch.setenv(name, value)
    code = cli.main(["collector", "check", "--no-validate", *(str(CONFIG / name) for name in files)])

    assert (0, True) == (code, "no fault found" in capsys.readouterr().out)


REQUIRED = {
    "otlp": ["REVENUE_OTLP_URL"],
    "clickhouse": ["REVENUE_CLICKHOUSE_ENDPOINT"],
    "bridge": ["REVENUE_BRIDGE_URL"],
    "archive-file": ["REVENUE_ARCHIVE_FILE"],
    "kafka": ["REVENUE_KAFKA_BROKERS"],
    "tracing": ["REVENUE_TRACING_ENDPOINT"],
    "prometheus-remote-write": ["REVENUE_REMOTE_WRITE_ENDPOINT", "REVENUE_REMOTE_WRITE_HEADERS"],
}


@pytest.mark.parametrize(("name", "variable"), [(name, v) for name, variables in REQUIRED.items() for v in variables])
def test_a_backend_does_not_start_without_what_it_needs(name: str, variable: str, tmp_path: Path) -> None:
    """
    A required variable that is not set stops the start, with the exporter's name or key in the error; its file says `required`.
    """
    backend = next(backend for backend in BACKENDS if backend.name == name)
    environ = {"REVENUE_RECORD": "nop/queued", "REVENUE_BRIDGE_URL": "http://127.0.0.1:1"} | dict(
        backend.sink(tmp_path).variables
    )
    del environ[variable]
    answer = ask("validate", list(dict.fromkeys([*BASE, backend.file, MONEY])), environ, backend.program)
    head = (CONFIG / backend.file).read_text(encoding="utf-8").partition("exporters:")[0]
    line = next(line for line in head.splitlines() if line.split()[1:2] == [variable])

    assert (1, True) == (answer.returncode, "required" in line)


def test_every_file_is_in_the_table_and_only_adds() -> None:
    """
    Each file of backends/ is in the table (but S3's, which cannot be run), and no two files define one key.
    """
    files = {
        path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in (CONFIG / "backends").glob("*.yaml")
    }
    layers = {"base": yaml.safe_load((CONFIG / "base.yaml").read_text(encoding="utf-8"))} | files
    defined = [
        (section, key)
        for layer in layers.values()
        for section, content in [*layer.items(), ("pipelines", layer.get("service", {}).get("pipelines", {}))]
        if section != "service"
        for key in content
    ]

    assert {backend.name for backend in BACKENDS} | {"archive-s3"} == set(files)
    assert len(defined) == len(set(defined))
    assert [] == [name for name, layer in files.items() if set(layer.get("service", {})) - {"pipelines"}]


S3_KEYS = {
    "s3uploader", "marshaler", "timeout", "retry_on_failure", "sending_queue", "encoding", "encoding_file_extension",
    "resource_attrs_to_s3",
}  # fmt: skip
S3_UPLOADER_KEYS = {
    "region", "s3_bucket", "s3_prefix", "s3_base_prefix", "s3_partition_format", "s3_partition_timezone", "file_prefix", "endpoint",
    "role_arn", "external_id", "s3_force_path_style", "disable_ssl", "acl", "storage_class", "compression", "retry_mode",
    "retry_max_attempts", "retry_max_backoff", "unique_key_func_name",
}  # fmt: skip
"""As the documentation of the awss3 exporter has them."""


def test_the_archive_in_s3_uses_keys_that_its_exporter_documents(tmp_path: Path) -> None:
    """
    The one file that cannot be run has documented keys, and loads with another exporter in the place of the missing one.
    """
    text = (CONFIG / "backends/archive-s3.yaml").read_text(encoding="utf-8")
    content = yaml.safe_load(text)
    exporter = content["exporters"]["awss3/archive"]
    uploader = exporter.pop("s3uploader")
    del exporter["marshaler"]
    content["exporters"] = {"otlp_http/archive_s3": {"endpoint": "http://127.0.0.1:1", **exporter}}
    stand_in = tmp_path / "s3.yaml"
    stand_in.write_text(yaml.safe_dump(content).replace("awss3/archive", "otlp_http/archive_s3"))
    answer = ask("validate", [*BASE, stand_in], {"REVENUE_RECORD": "nop/queued"})

    assert (set(), set()) == (set(uploader) - S3_UPLOADER_KEYS, set(exporter) - S3_KEYS)
    assert (0, "") == (answer.returncode, answer.stderr)
