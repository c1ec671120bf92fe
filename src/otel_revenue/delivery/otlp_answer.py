# SPDX-License-Identifier: Apache-2.0
"""What stands in the body of a far end's 2xx. Pure."""

from __future__ import annotations

import json
from typing import Any

from otel_revenue.signals.otlp_decode import decode_export_logs_response

from .outcome import Held, Later, Outcome, from_partial_success


def from_answer(content: bytes, content_type: str, sent: int) -> Outcome:
    """
    Judge the body of an acknowledgement for *sent* records.

    A login page with status 200 is none: the URL is wrong. Whatever else is not an `ExportLogsServiceResponse` may be a proxy's.
    """
    kind = content_type.partition(";")[0].strip().lower()
    first = content.lstrip()[:1]
    if content and (kind == "text/html" or first == b"<"):
        return Held("answer is a web page")
    try:
        # "{" begins no protobuf message of ours: a body is read as what it is, whatever the header says.
        rejected = _rejected(json.loads(content)) if first == b"{" else decode_export_logs_response(content).rejected
    except (ValueError, RecursionError):
        return Later("answer is not OTLP", suspect=True)
    return from_partial_success(rejected, sent)


def _rejected(answer: Any) -> int:
    partial = answer.get("partialSuccess", answer.get("partial_success")) or {}
    if not isinstance(partial, dict):
        raise ValueError("partialSuccess is no object")  # noqa: TRY004 - it is the data that is wrong
    count = partial.get("rejectedLogRecords", partial.get("rejected_log_records")) or 0
    if not isinstance(count, (int, str)):
        raise ValueError("rejectedLogRecords is no integer")  # noqa: TRY004 - as above
    return int(count)
