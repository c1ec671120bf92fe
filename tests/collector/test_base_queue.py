"""What the Collector writes to disk, and how it is set up in the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs

from support.canaries import Canaries, attributes
from support.collector import BASE, Collector, ask
from support.receiver import Receiver

if TYPE_CHECKING:
    from pathlib import Path


def test_no_address_is_written_to_the_queue(tmp_path: Path) -> None:
    """What waits on disk while a backend is down is what would have been sent: masked, and without what is not declared."""
    canaries = Canaries()
    records = [
        LogRecord(event_name=name, body=pair.value, attributes=[pair, *attributes({"order_id": "the-order"})])
        for name in ("order.paid", "checkout.start", "")
        for key in ("tier", "skus", "customer.email")
        for pair in canaries.values(key, name)
    ]
    request = ExportLogsServiceRequest(resource_logs=[ResourceLogs(scope_logs=[ScopeLogs(log_records=records)])])
    with Receiver(status=503) as receiver:
        environ = {"REVENUE_RECORD": "nop/queued", "REVENUE_OTLP_URL": receiver.url}
        with Collector(tmp_path, ("backends/otlp.yaml",), environ) as collector:
            status = collector.post(request.SerializeToString()).status_code
            collector.kill()
            kept = b"".join(file.read_bytes() for file in collector.queue.iterdir())

    assert (200, True, []) == (status, b"the-order" in kept, canaries.found(kept))


def merged() -> Any:
    """The configuration as the Collector has understood it."""
    environ = {"REVENUE_RECORD": "otlp_http/otlp_record", "REVENUE_OTLP_URL": "http://127.0.0.1:1"}
    return yaml.safe_load(ask("print-config", (*BASE, "backends/otlp.yaml"), environ).stdout)


def test_the_collector_has_understood_the_files() -> None:
    """Settings that a wrong minor would silently ignore are in force: queue on disk and synced, no queue for money, no way around a mask."""
    config = merged()
    queued, record = config["exporters"]["otlp_http/otlp"], config["exporters"]["otlp_http/otlp_record"]
    privacy = {
        name: settings["error_mode"]
        for name, settings in config["processors"].items()
        if name.startswith(("filter/", "transform/"))
    }

    assert ("file_storage/queue", 0, True) == (
        queued["sending_queue"]["storage"],
        int(str(queued["retry_on_failure"]["max_elapsed_time"]).rstrip("s")),
        config["extensions"]["file_storage/queue"]["fsync"],
    )
    assert (None, False) == (record["sending_queue"], record["retry_on_failure"]["enabled"])
    assert {"propagate"} == set(privacy.values())
    assert 8 * 1024**2 == config["receivers"]["otlp/server"]["protocols"]["http"]["max_request_body_size"]
    assert all(len(config["processors"][name]["blocked_values"]) > 5 for name in ("redaction/values", "redaction/open"))


def test_nothing_forks_before_the_memory_limiter() -> None:
    """Every receiver's pipeline begins with the memory limiter, and no other has one: a refusal comes before anybody has the event."""
    pipelines = merged()["service"]["pipelines"]
    limited = {name for name, pipeline in pipelines.items() if "memory_limiter" in (pipeline.get("processors") or [])}
    entries = {
        name for name, pipeline in pipelines.items() if any(part.startswith("otlp/") for part in pipeline["receivers"])
    }

    assert entries == limited == {name for name in entries if pipelines[name]["processors"][0] == "memory_limiter"}
