# SPDX-License-Identifier: Apache-2.0
"""
Patches of the stripe library: where every API call and every webhook passes exactly once, on 8.x to 16.x.

- `_APIRequestor.request_raw` and `request_raw_async`: every call, whichever door of the library it came in by, also a
  function that was bound before, `raw_request` and streams.
- `WebhookSignature.verify_header`: every delivery whose signature is checked; the app may parse the body itself.
- `build_v1_event` (since 15.5): deliveries that are read without a signature, from EventBridge, Event Grid or a queue.

`Event.construct_from(json, key)`, the way of old tutorials, is not observed on purpose: anybody can send such a body.

A wrapper calls the application's own function unprotected, exactly once; its result and its error pass untouched. What
we do before and after it is guarded. Under OpenTelemetry's suppression no span is made, but money is still observed.
"""

from __future__ import annotations

import functools
import inspect
import re
import threading
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

import wrapt

from otel_revenue._guard import guard, warn_once

from .calls import ApiAnswer, ApiCall
from .observed import Observed, ours
from .versions import Support, installed_version, support

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import ModuleType

    from opentelemetry.trace import Tracer

__all__ = ["ApiAnswer", "ApiCall", "Hooks", "Listener", "install"]

_EVENT_ID: Final = r'"id"\s*:\s*"(evt_[^"\\]{1,250})"'
_EVENT_ID_TEXT = re.compile(_EVENT_ID)
_EVENT_ID_BYTES = re.compile(_EVENT_ID.encode())

_verified: ContextVar[tuple[object, frozenset[str]]] = ContextVar("otel_revenue_verified", default=(None, frozenset()))
"""
Who heard of the delivery that was verified last in this context, and its ids: `construct_event` verifies first and
builds the event then, in one call; so does an app that verifies by itself and uses `construct_event_without_verification`.
"""


class Listener(Protocol):
    """What hears of calls and deliveries. Runs in the caller's thread, guarded: what it raises is counted and swallowed."""

    def before_call(self, call: ApiCall) -> object | None:
        """Return parameters to send instead of the call's own, or None. Runs inside the CLIENT span."""

    def after_call(self, call: ApiCall, answer: ApiAnswer) -> None:
        """Hear what came of a call, before the application does. Runs inside the CLIENT span."""

    def webhook(self, payload: str | bytes | dict[str, Any], *, verified: bool) -> None:
        """
        Hear of a delivery, once each.

        Args:
            payload: the raw body whose signature was found right, or the event as the application parsed it, which is
                the application's: neither kept nor changed.
            verified: whether a signature was checked.
        """


@dataclass(frozen=True, slots=True)
class _Patch:
    """One name of the library that is ours for now."""

    owner: Any
    name: str
    original: object
    inherited: bool
    ours: object

    def undo(self) -> None:
        """Put back the very object that was there; if somebody has wrapped ours since, leave theirs alone."""
        if vars(self.owner).get(self.name) is not self.ours:
            return
        if self.inherited:
            delattr(self.owner, self.name)
        else:
            setattr(self.owner, self.name, self.original)


class Hooks:
    """
    The patches of one listener.

    Attributes:
        active: False after `remove()`; a wrapper of ours that somebody wrapped in turn then only passes through.
        support: what was found out about the library so far.
    """

    current: ClassVar[Hooks | None] = None

    def __init__(self, listener: Listener, tracer: Tracer | None = None) -> None:
        self.active = True
        self.support: Support = support(installed_version())
        self._listener = listener
        self._tracer = tracer
        self._patches: list[_Patch] = []
        self._lock = threading.Lock()
        self._builds = False
        self._mark = object()

    def arm(self) -> None:
        """Patch the library now if it is imported, else when it is. Never imports it."""
        if not self.support.active:
            warn_once("stripe.support", "otel-revenue: %s", self.support.text)
        wrapt.register_post_import_hook(self._requestor_imported, "stripe._api_requestor")
        wrapt.register_post_import_hook(self._webhook_imported, "stripe._webhook")

    def remove(self) -> None:
        """
        Restore the library byte for byte.

        Where another library has wrapped our wrapper since, that wrap stays and ours becomes a pass-through. The
        library may also be imported later: it then stays as it is (wrapt's import hooks cannot be taken back).
        """
        with self._lock:
            self.active = False
            while self._patches:
                self._patches.pop().undo()
        if Hooks.current is self:
            Hooks.current = None

    # -- when the library is imported: nothing may be raised into somebody's import ------------------------------------

    def _requestor_imported(self, module: ModuleType) -> None:
        with guard("stripe.import"):
            requestor = getattr(module, "_APIRequestor", None)
            if self._fits({"_APIRequestor.request_raw": getattr(requestor, "request_raw", None)}):
                self._patch(requestor, "request_raw", self._sync_call)
                if hasattr(requestor, "request_raw_async"):  # 8.0 has none
                    self._patch(requestor, "request_raw_async", self._async_call)

    def _webhook_imported(self, module: ModuleType) -> None:
        with guard("stripe.import"):
            signature = getattr(module, "WebhookSignature", None)
            if self._fits({"WebhookSignature.verify_header": getattr(signature, "verify_header", None)}):
                self._patch(signature, "verify_header", self._verification)
                if hasattr(module, "build_v1_event"):  # since 15.5
                    self._builds = True
                    self._patch(module, "build_v1_event", self._building)

    def _fits(self, found: dict[str, object]) -> bool:
        missing = [name for name, value in found.items() if not callable(value)]
        verdict = support(installed_version() or "of unknown version", missing)
        if self.active and (self.support.active or not verdict.active):
            self.support = verdict
        if not verdict.active:
            warn_once("stripe.support", "otel-revenue: %s", verdict.text)
        return verdict.active

    def _patch(self, owner: Any, name: str, wrap: Callable[[Any], object]) -> None:
        with self._lock:
            if not self.active:
                return
            original = inspect.getattr_static(owner, name)
            inherited = name not in vars(owner)
            ours = wrap(original)
            setattr(owner, name, ours)
            self._patches.append(_Patch(owner, name, original, inherited, ours))

    # -- the wrappers ------------------------------------------------------------------------------------------------

    def _sync_call(self, original: Callable[..., object]) -> object:
        @functools.wraps(original)
        def request_raw(requestor: object, *args: Any, **kwargs: Any) -> object:
            call = _bound(original, requestor, type(requestor))
            if not self.active or ours.get():
                return call(*args, **kwargs)
            observed = Observed(self._listener, self._tracer, requestor, args, kwargs)
            try:
                answer = call(*observed.args, **observed.kwargs)
            except BaseException as error:
                observed.failed(error)
                raise
            observed.answered(answer)
            return answer

        return request_raw

    def _async_call(self, original: Callable[..., Awaitable[object]]) -> object:
        @functools.wraps(original)
        async def request_raw_async(requestor: object, *args: Any, **kwargs: Any) -> object:
            call = _bound(original, requestor, type(requestor))
            if not self.active:
                return await call(*args, **kwargs)
            observed = Observed(self._listener, self._tracer, requestor, args, kwargs)
            try:
                answer = await call(*observed.args, **observed.kwargs)
            except BaseException as error:
                observed.failed(error)
                raise
            observed.answered(answer)
            return answer

        return request_raw_async

    def _verification(self, original: Any) -> object:
        @functools.wraps(getattr(original, "__func__", original))
        def verify_header(cls: type, *args: Any, **kwargs: Any) -> object:
            result = _bound(original, None, cls)(*args, **kwargs)
            if self.active:
                with guard("stripe.webhook"):
                    self._delivered(args[0] if args else kwargs["payload"])
            return result

        return classmethod(verify_header)

    def _building(self, original: Callable[..., object]) -> object:
        @functools.wraps(original)
        def build_v1_event(*args: Any, **kwargs: Any) -> object:
            event = original(*args, **kwargs)
            if self.active:
                with guard("stripe.webhook"):
                    self._built(args[0] if args else kwargs["values"])
            return event

        return build_v1_event

    # -- one observation per delivery --------------------------------------------------------------------------------

    def _delivered(self, payload: object) -> None:
        raw = payload if isinstance(payload, (str, bytes)) else _raw(payload)
        self._listener.webhook(raw, verified=True)
        if self._builds:
            _verified.set((self._mark, _event_ids(raw)))

    def _built(self, values: object) -> None:
        if not isinstance(values, dict):
            return
        mark, ids = _verified.get()
        if mark is self._mark and values.get("id") in ids:
            _verified.set((None, frozenset()))
            return
        self._listener.webhook(values, verified=False)


def install(listener: Listener, tracer: Tracer | None = None) -> Hooks:
    """
    Let *listener* hear of every call of Stripe's API and of every webhook in this process; with *tracer*, make spans.

    Returns:
        the hooks, to be removed. Hooks that are already there are removed first: nothing is heard twice.
    """
    if Hooks.current is not None:
        Hooks.current.remove()
    hooks = Hooks(listener, tracer)
    Hooks.current = hooks
    hooks.arm()
    return hooks


def _bound(original: Any, instance: object, owner: type) -> Any:
    """Return what an attribute look-up would have: also if another library put an object of its own in this place."""
    get = getattr(type(original), "__get__", None)
    return original if get is None else get(original, instance, owner)


def _raw(payload: object) -> str | bytes:
    return bytes(payload) if isinstance(payload, (bytearray, memoryview)) else str(payload)


def _event_ids(raw: str | bytes) -> frozenset[str]:
    """Return the ids of events in a body: the event's own, as a rule. Not parsed: the listener does that already."""
    if isinstance(raw, str):
        return frozenset(islice((match[1] for match in _EVENT_ID_TEXT.finditer(raw)), 8))
    return frozenset(islice((match[1].decode(errors="replace") for match in _EVENT_ID_BYTES.finditer(raw)), 8))
