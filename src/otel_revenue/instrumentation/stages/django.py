# SPDX-License-Identifier: Apache-2.0
"""
The edge to Django, under WSGI and ASGI alike: when the route of a request is resolved, and when the view has answered.

Both lie inside of every middleware: the SERVER span lives, and the answer is not compressed yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from otel_revenue._guard import guard

from .values import SEEN, Asked, is_small_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from .stages import Pending, Stages

_PENDING: Final = "_otel_revenue_stage"


def when_resolved(stages: Stages) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Wrap `resolve_request` of Django's handlers."""

    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        def resolve_request(handler: Any, request: Any) -> Any:
            match = original(handler, request)
            if stages.active:
                with guard("stages.request"):
                    setattr(request, _PENDING, _begin(stages, request, match.route))
            return match

        return resolve_request

    return wrap


def when_answered(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap `_get_response` of Django's handlers."""

    def _get_response(handler: Any, request: Any) -> Any:
        response = original(handler, request)
        _answered(request, response)
        return response

    return _get_response


def when_answered_async(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap `_get_response_async` of Django's handlers."""

    async def _get_response_async(handler: Any, request: Any) -> Any:
        response = await original(handler, request)
        _answered(request, response)
        return response

    return _get_response_async


def _begin(stages: Stages, request: Any, route: str) -> Pending | None:
    if SEEN in request.META:
        return None
    candidates = stages.of(request.method, route)
    if not candidates:
        return None
    request.META[SEEN] = True
    return stages.begin(
        candidates, Asked(request.method, request.path_info, request.META.get("QUERY_STRING", ""), request.headers.get)
    )


def _answered(request: Any, response: Any) -> None:
    pending = getattr(request, _PENDING, None)
    if pending is not None:
        with guard("stages.answer"):
            pending.answered(response.status_code, lambda: _body(response))


def _body(response: Any) -> bytes | None:
    if response.streaming:
        return None
    said = (response.get(name) for name in ("Content-Type", "Content-Encoding", "Content-Length"))
    return response.content if is_small_json(*said) else None
