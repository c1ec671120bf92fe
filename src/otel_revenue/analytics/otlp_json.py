# SPDX-License-Identifier: Apache-2.0
"""
OTLP/JSON into OTLP protobuf, so that everything behind it reads one encoding.

protobuf's JSON mapping with one difference, which is undone here: trace and span ids are hexadecimal, not base64.

Source: OTLP specification, "JSON Protobuf Encoding".
"""

from __future__ import annotations

import base64
import json
from typing import Any, Final

from google.protobuf import json_format

from .body import Refused

_IDS: Final = frozenset({"traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id"})
_MAX_DEPTH: Final = 64


def to_protobuf(data: bytes, message: Any) -> bytes:
    """
    Return the protobuf encoding of an OTLP/JSON body.

    Args:
        message: an empty request of the kind that the body must be; it is filled.

    Raises:
        Refused: 400, the body is no JSON or not such a request.
    """
    try:
        content = json.loads(data)
        json_format.ParseDict(_with_base64_ids({**content}, 0), message, ignore_unknown_fields=True)
        return bytes(message.SerializeToString())
    except Refused:
        raise
    # Hostile input meets json, the mapping and the encoder: RecursionError, lone surrogates, numbers out of range.
    except (ValueError, TypeError, AttributeError, RecursionError, OverflowError, json_format.Error):
        raise Refused(400, f"the body is not a JSON {type(message).__name__}") from None


def to_json(message: Any) -> bytes:
    """Return a protobuf message, one without ids, as JSON."""
    return json.dumps(json_format.MessageToDict(message)).encode()


def _with_base64_ids(content: Any, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        raise Refused(400, "the JSON body is nested too deeply")
    if isinstance(content, dict):
        return {
            key: _base64(value) if key in _IDS and isinstance(value, str) else _with_base64_ids(value, depth + 1)
            for key, value in content.items()
        }
    if isinstance(content, list):
        return [_with_base64_ids(item, depth + 1) for item in content]
    return content


def _base64(text: str) -> str:
    return base64.b64encode(bytes.fromhex(text)).decode()
