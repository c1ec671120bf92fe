# SPDX-License-Identifier: Apache-2.0
"""
Endpoints, how deliveries go, what one was, and what goes over the wire.

Source of the signature: Stripe documentation, "Verify webhook signatures manually".
"""

from __future__ import annotations

import copy
import hashlib
import hmac
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from . import legacy
from .world import Obj, Scope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .world import World


@dataclass(frozen=True)
class Endpoint:
    """
    Where events go.

    Attributes:
        url: of the receiver; a name, for one whose deliveries are collected and not sent.
        secret: `whsec_…`, the whole of which is the key of the signature.
        events: names of event types, or `("*",)`.
        api_version: of the payloads; None for the account's.
        connect: True for events of connected accounts, False for the account's own.
        collected: deliveries are signed and kept in the record, and go nowhere.
        thin: gets thin events (API v2) instead of events with their object.
    """

    url: str
    secret: str = field(repr=False)
    events: tuple[str, ...] = ("*",)
    api_version: str | None = None
    connect: bool = False
    collected: bool = False
    thin: bool = False

    def wants(self, event: Obj) -> bool:
        """Whether *event* goes there."""
        named = "*" in self.events or event["type"] in self.events
        return (
            named and self.connect == bool(event.get("account")) and legacy.knows(self.api_version or "", event["type"])
        )


@dataclass(frozen=True)
class Behaviour:
    """
    How deliveries go.

    Attributes:
        duplicates: how many times each event is delivered; 1 is once.
        reorder: shuffle deliveries within a quarter of a second, or all that were held.
        delay: seconds before the first attempt.
        drop: names of event types, or a share from 0 to 1, that never arrive.
        hold: keep deliveries until `release()`.
        attempts: how often one is tried before it is given up.
        backoff: seconds before the second attempt; doubles with each, up to `backoff_most`.
        backoff_most: seconds.
        timeout: seconds that an endpoint may take.
        concurrency: deliveries at the same time to one endpoint.
    """

    duplicates: int = 1
    reorder: bool = False
    delay: float = 0.0
    drop: float | frozenset[str] = 0.0
    hold: bool = False
    attempts: int = 12
    backoff: float = 0.05
    backoff_most: float = 2.0
    timeout: float = 10.0
    concurrency: int = 1

    def changed(self, **changes: Any) -> Behaviour:
        """
        Return a behaviour with *changes*.

        Raises:
            ValueError: a name is not known, or a value is out of range.
        """
        for name in changes:
            if name not in self.__dict__:
                raise ValueError(f"webhooks have no {name!r}; known: {', '.join(sorted(self.__dict__))}")
        return replace(self, **{name: _CHECKS[name](name, value) for name, value in changes.items()})


def _count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1")
    return value


def _seconds(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 86_400:
        raise ValueError(f"{name} must be seconds from 0 to 86400")
    return value


def _flag(name: str, value: Any) -> bool:
    if value is not True and value is not False:
        raise ValueError(f"{name} must be true or false")
    return bool(value)


def _drop(name: str, value: Any) -> float | frozenset[str]:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1:
        return value
    names = [value] if isinstance(value, str) else value
    if isinstance(names, (list, tuple, set, frozenset)) and all(isinstance(item, str) for item in names):
        return frozenset(names)
    raise ValueError(f"{name} must be a share from 0 to 1, or names of event types")


_CHECKS: Final[dict[str, Callable[[str, Any], Any]]] = {
    "attempts": _count,
    "backoff": _seconds,
    "backoff_most": _seconds,
    "concurrency": _count,
    "delay": _seconds,
    "drop": _drop,
    "duplicates": _count,
    "hold": _flag,
    "reorder": _flag,
    "timeout": _seconds,
}


@dataclass(frozen=True)
class Delivery:
    """
    One attempt.

    Attributes:
        event_id, type: of the event.
        endpoint: URL, or the name of one that is collected.
        attempt: from 1.
        copy: from 1; higher for duplicates.
        status: HTTP status; 0 when the connection failed; 200 when it was collected.
        error: class name of the connection's error, "" for none.
        gave_up: it was the last attempt, and it failed.
        body: what was sent, byte for byte.
        signature: the `Stripe-Signature` header that went with it.
    """

    event_id: str
    type: str
    endpoint: str
    attempt: int
    copy: int
    status: int
    error: str = ""
    gave_up: bool = False
    body: bytes = field(default=b"", repr=False)
    signature: str = field(default="", repr=False)

    @property
    def acknowledged(self) -> bool:
        """Whether the endpoint answered 2xx."""
        return 200 <= self.status < 300

    def as_json(self) -> Obj:
        """Return what the HTTP control answers with: all but body and signature."""
        return {name: value for name, value in self.__dict__.items() if name not in ("body", "signature")}


def sign(body: bytes, secret: str, timestamp: int) -> str:
    """Return the `Stripe-Signature` header for *body*."""
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"


def payload(event: Obj) -> bytes:
    """Return *event* as Stripe writes it: indented JSON."""
    return json.dumps(event, indent=2, ensure_ascii=False).encode(errors="replace")


def rendered(world: World, event: Obj, version: str | None) -> Obj:
    """Return *event* as an endpoint of *version* gets it."""
    shown = copy.deepcopy(event)
    if version is None or version == event.get("api_version"):
        return shown
    shown["api_version"] = version
    shapes = world.hidden.get(event.get("id", ""), {}).get("shapes")
    if shapes is None:  # not an event of this fake
        shapes = legacy.shapes(Scope(world, account=event.get("account", "")), event["data"]["object"])
    shown["data"]["object"] = shapes.of(version)
    return shown


def endpoint(
    url: str, secret: str, events: Iterable[str], api_version: str | None, *, connect: bool, thin: bool = False
) -> Endpoint:
    """
    Return a checked endpoint.

    Raises:
        ValueError: the URL is none, or the secret does not begin with `whsec_`.
    """
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise ValueError("an endpoint needs an http or https URL")
    return replace(collected(url, secret, events, api_version, connect=connect, thin=thin), collected=False)


def collected(
    name: str, secret: str, events: Iterable[str], api_version: str | None, *, connect: bool, thin: bool = False
) -> Endpoint:
    """
    Return an endpoint that is never posted to.

    Raises:
        ValueError: the secret does not begin with `whsec_`.
    """
    if not secret.startswith("whsec_"):
        raise ValueError("an endpoint's secret begins with whsec_")
    named = (events,) if isinstance(events, str) else tuple(events)
    return Endpoint(name, secret, named, api_version, connect, collected=True, thin=thin)
