"""Money is acknowledged by the backend of record, and by nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.collector import Collector
from support.otlp_events import event, logs_request, paid
from support.receiver import Receiver, wait_for

if TYPE_CHECKING:
    from pathlib import Path

FILES = ("backends/otlp.yaml",)


def environ(receiver: Receiver, record: str = "otlp_http/otlp_record") -> dict[str, str]:
    return {
        "REVENUE_RECORD": record,
        "REVENUE_OTLP_URL": receiver.url,
        "REVENUE_OTLP_HEADERS": "{authorization: Bearer key}",
    }


def test_the_senders_answer_is_the_backends_own(tmp_path: Path) -> None:
    """What the backend of record says to a payment is what the application hears."""
    heard = {}
    with Receiver() as receiver, Collector(tmp_path, FILES, environ(receiver)) as collector:
        for status in (200, 400, 401, 403, 404, 429, 500, 502, 503):
            receiver.status = status
            heard[status] = collector.post(logs_request([paid()])).status_code

    assert {200: 200, 400: 400, 401: 401, 403: 403, 404: 404, 429: 429, 500: 500, 502: 503, 503: 503} == heard


def test_the_backend_of_record_gets_each_payment_once(tmp_path: Path) -> None:
    """A backend that answers for money gets no copy of it through its queue, and the other events through it."""
    with Receiver() as receiver, Collector(tmp_path, FILES, environ(receiver)) as collector:
        for body in (logs_request([paid()]), logs_request([event("checkout.start", tier="pro")])):
            assert 200 == collector.post(body).status_code
        assert wait_for(lambda: len(receiver.logs) >= 2, 45)
        names = [log.name for log in receiver.logs]

    assert ["order.paid", "checkout.start"] == names


def test_money_goes_through_the_queue_where_that_is_asked_for(tmp_path: Path) -> None:
    """`REVENUE_RECORD=nop/queued` acknowledges payments when they are in the queue on disk, for senders without an outbox."""
    with Receiver(status=503) as receiver, Collector(tmp_path, FILES, environ(receiver, "nop/queued")) as collector:
        answer = collector.post(logs_request([paid()]))
        collector.kill()
        receiver.status = 200
        collector.start()
        arrived = wait_for(lambda: bool(receiver.named("order.paid")), 45)

    assert (200, True) == (answer.status_code, arrived)
