# SPDX-License-Identifier: Apache-2.0
"""Rules on delivery: who answers for the money, and which queue may lose what was acknowledged. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ._layers import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._layers import Pipeline, Whole

NOBODY_ASKED: Final = "nop/queued"
"""What base.yaml calls the choice to ask no backend about money, and to trust the queues of the copies."""

_QUEUELESS: Final = frozenset({"nop", "debug", "file", "prometheus", "forward"})
_DISK, _OFF, _MEMORY = "disk", "off", "memory"


def record(whole: Whole) -> Iterator[Fault]:
    """Find out who answers for order.*: somebody must, with its own answer, at once."""
    pipelines = whole.behind("forward/money")
    if not pipelines or any(whole.missing(text) for text in _raw_exporters(whole, pipelines)):
        return  # `references` or `variables` tells it
    last = [name for p in pipelines for name in p.exporters if _kind(name) != "forward"]
    if all(_kind(name) in ("nop", "debug") and name != NOBODY_ASKED for name in last):
        yield Fault(
            grave=True,
            file=whole.file(*pipelines[0].key.split("::"), "exporters"),
            key=f"{pipelines[0].key}::exporters",
            what="order.* has no backend of record: it is acknowledged and nobody has it",
            remedy=f"REVENUE_RECORD: the exporter without a queue of one backend, or {NOBODY_ASKED} for senders without an outbox",
        )
    if NOBODY_ASKED in last and not any(
        _queue(whole, name) == _DISK for p in whole.behind("forward/money_copies") for name in p.exporters
    ):
        yield Fault(
            grave=True,
            file=whole.file("exporters", NOBODY_ASKED),
            key=f"exporters::{NOBODY_ASKED}",
            what="nobody is asked about order.*, and no backend has a queue on disk for it",
            remedy="add a backend that takes forward/money_copies, or name one as REVENUE_RECORD",
        )
    for name in dict.fromkeys(last):
        yield from _answers_at_once(whole, name)


def queues(whole: Whole) -> Iterator[Fault]:
    """Find queues in memory behind money and funnel events, and retries that give up."""
    seen = set()
    for point, grave in (("forward/money_copies", True), ("forward/events", False)):
        for pipeline in whole.behind(point):
            for name in pipeline.exporters:
                if name not in seen:
                    seen.add(name)
                    yield from _keeps(whole, name, grave=grave)


def watchers(whole: Whole) -> Iterator[Fault]:
    """Find what looks on at money and can fail: it would be heard as the answer to the payment."""
    watching = whole.behind("forward/money_watch")
    measured = {
        name for p in watching for name in p.exporters if name in whole.part("connectors") and _kind(name) != "forward"
    }
    for pipeline in [*watching, *(p for p in whole.pipelines if measured.intersection(p.receivers))]:
        batched = any(_kind(name) == "batch" for name in pipeline.processors)
        failing = [n for n in pipeline.exporters if _kind(n) not in ("nop", "debug") and n not in measured]
        if failing and not batched:
            yield Fault(
                grave=True,
                file=whole.file(*pipeline.key.split("::")),
                key=pipeline.key,
                what=f"only looks on at order.*, and a failure of {failing[0]} is answered to the payment",
                remedy="keep events by forward/money_copies; put a batch processor first where metrics are made of them",
            )


def batches(whole: Whole) -> Iterator[Fault]:
    """Find batch processors before an answer that counts: they acknowledge what is in memory alone. Metrics come again by themselves."""
    of_record = {name for pipeline in whole.behind("forward/money") for name in pipeline.exporters}
    for pipeline in (p for p in whole.pipelines if not p.name.startswith("metrics")):
        batch = next((name for name in pipeline.processors if _kind(name) == "batch"), None)
        ends = _ends(whole, pipeline)
        behind = next((name for name in ends if name in of_record or _queue(whole, name) == _DISK), None)
        if batch and behind:
            yield Fault(
                grave=True,
                file=whole.file(*pipeline.key.split("::"), "processors"),
                key=f"{pipeline.key}::processors",
                what=f"{batch} answers before {behind} does: what it holds is acknowledged, and lost at a kill",
                remedy="take it out; sending_queue::batch batches behind the queue",
            )


def _answers_at_once(whole: Whole, name: str) -> Iterator[Fault]:
    """The backend of record may keep nothing: neither a queue nor a retry stands between its answer and the sender."""
    key, file = f"exporters::{name}", whole.file("exporters", name)
    if _kind(name) in _QUEUELESS or name not in whole.part("exporters"):
        return
    if _queue(whole, name) != _OFF:
        what = "order.* waits in a queue here: the sender is told 200, and what the backend refuses later is lost"
        yield Fault(
            True, file, f"{key}::sending_queue", what, "sending_queue: {enabled: false} on the exporter of record"
        )
    if _retries(whole, name):
        what = "order.* is tried again here, until the sender runs into its own timeout and sends it a second time"
        yield Fault(
            True, file, f"{key}::retry_on_failure", what, "retry_on_failure: {enabled: false}; the sender retries"
        )


def _keeps(whole: Whole, name: str, *, grave: bool) -> Iterator[Fault]:
    if _kind(name) in _QUEUELESS or name not in whole.part("exporters"):
        return
    key, file, kind = f"exporters::{name}", whole.file("exporters", name), "money" if grave else "funnel events"
    queue = _queue(whole, name)
    if queue == _MEMORY:
        what = f"its queue is in memory: acknowledged {kind} in it is lost when the Collector ends"
        yield Fault(grave, file, f"{key}::sending_queue", what, "storage: file_storage/queue in its sending_queue")
    if queue == _OFF:
        what = f"it has no queue: while its backend is away, every sender of {kind} is refused"
        yield Fault(grave, file, f"{key}::sending_queue", what, "a sending_queue with storage: file_storage/queue")
    limit = _retry(whole, name).get("max_elapsed_time", "5m")
    if queue == _DISK and not (_retries(whole, name) and whole.said(limit) in ("0", "0s")):
        what = f"it gives up: {kind} in its queue is dropped when the backend is away for longer than that"
        remedy = "retry_on_failure: {enabled: true, max_elapsed_time: 0}"
        yield Fault(grave, file, f"{key}::retry_on_failure", what, remedy)


def _kind(name: str) -> str:
    return name.partition("/")[0]


def _queue(whole: Whole, name: str) -> str:
    """Return where an exporter keeps what it cannot send yet: on disk, in memory (the default), or nowhere."""
    if _kind(name) in _QUEUELESS:
        return _OFF
    queue = whole.settings("exporters", name).get("sending_queue")
    if not isinstance(queue, dict):
        return _MEMORY
    # A queue that waits for the result passes the backend's answer on, as none would.
    if whole.said(queue.get("enabled", True)) == "false" or whole.said(queue.get("wait_for_result", False)) == "true":
        return _OFF
    return _DISK if queue.get("storage") else _MEMORY


def _retry(whole: Whole, name: str) -> dict[str, Any]:
    found = whole.settings("exporters", name).get("retry_on_failure")
    return found if isinstance(found, dict) else {}


def _retries(whole: Whole, name: str) -> bool:
    return whole.said(_retry(whole, name).get("enabled", True)) != "false"


def _ends(whole: Whole, pipeline: Pipeline) -> list[str]:
    """Return the exporters of a pipeline, and of those behind its forward points."""
    behind = [p for name in pipeline.exporters if _kind(name) == "forward" for p in whole.behind(name)]
    return [name for p in (pipeline, *behind) for name in p.exporters]


def _raw_exporters(whole: Whole, pipelines: list[Pipeline]) -> list[str]:
    service = whole.part("service").get("pipelines", {})
    return [str(name) for p in pipelines for name in service[p.name].get("exporters") or []]
