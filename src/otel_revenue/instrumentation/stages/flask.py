# SPDX-License-Identifier: Apache-2.0
"""The edge to Flask: around the dispatch of a request, inside of its context, with the answer whole and in memory or not looked into."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from otel_revenue._guard import guard

from .values import SEEN, Asked, is_small_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from .stages import Pending, Stages


def in_dispatch(stages: Stages) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Wrap `full_dispatch_request` of Flask's application."""

    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        def full_dispatch_request(app: Any, *args: Any, **kwargs: Any) -> Any:
            pending = None
            if stages.active:
                with guard("stages.request"):
                    pending = _begin(stages, sys.modules["flask"].request)
            response = original(app, *args, **kwargs)
            if pending is not None:
                with guard("stages.answer"):
                    pending.answered(response.status_code, lambda: _body(response))
            return response

        return full_dispatch_request

    return wrap


def _begin(stages: Stages, request: Any) -> Pending | None:
    rule = request.url_rule
    if rule is None or SEEN in request.environ:  # no such route
        return None
    candidates = stages.of(request.method, rule.rule)
    if not candidates:
        return None
    request.environ[SEEN] = True
    query = request.query_string.decode("latin-1")
    return stages.begin(candidates, Asked(request.method, request.path, query, request.headers.get))


def _body(response: Any) -> bytes | None:
    if response.is_streamed or response.direct_passthrough:
        return None
    length = response.calculate_content_length()
    small = is_small_json(response.content_type, response.content_encoding, None if length is None else str(length))
    return response.get_data() if small else None
