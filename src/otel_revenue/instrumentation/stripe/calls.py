# SPDX-License-Identifier: Apache-2.0
"""
One call of Stripe's API: what is known before and after it, and its CLIENT span.

The span says method, URL template, server, status, Stripe's request id and error code. It never says parameters,
bodies, ids, query strings or error messages: Stripe's messages quote e-mail addresses.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.semconv.attributes.http_attributes import HTTP_REQUEST_METHOD, HTTP_RESPONSE_STATUS_CODE
from opentelemetry.semconv.attributes.server_attributes import SERVER_ADDRESS, SERVER_PORT
from opentelemetry.trace import SpanKind, Status, StatusCode

from .metadata import idempotency_key_given
from .templates import path_of, url_template

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.trace import Span, Tracer

URL_TEMPLATE: Final = "url.template"
"""Not in the stable module of the oldest semantic conventions that we support."""
REQUEST_ID: Final = "stripe.request_id"
ERROR_CODE: Final = "stripe.error.code"
DECLINE_CODE: Final = "stripe.decline_code"
REPLAYED: Final = "stripe.idempotent_replayed"
API_VERSION: Final = "stripe.api_version"

_METHODS: Final = frozenset({"GET", "POST", "DELETE", "PUT", "PATCH", "HEAD"})
_CODE = re.compile(r"[a-z][a-z0-9_.]{0,79}")
_TOKEN = re.compile(r"[A-Za-z0-9_.-]{1,80}")
_MAX_ERROR_BODY: Final = 256 * 1024
_CARD_ERROR: Final = 402


class Headers(Mapping[str, str]):
    """Headers of an answer by name in any case. The library's HTTP clients hand them over in five different types."""

    def __init__(self, headers: object = None) -> None:
        pairs = headers.items() if isinstance(headers, Mapping) else ()
        self._values = {str(name).lower(): str(value) for name, value in pairs}

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


@dataclass(frozen=True, slots=True)
class ApiCall:
    """
    A call before it is made.

    Attributes:
        method: HTTP method, upper case.
        url: path without query, as the library was given it: with ids.
        params: as the application passed them. Belongs to it: read only.
        options: the library's request options; holds the secret key.
        account: connected account the call is made for, "" for the platform's own.
        idempotency_key_given: the application chose the key itself.
        api_version: Stripe's API version that is asked for, "" when the account's default is.
        server: base address, as `https://api.stripe.com`.
        requestor: the library's own object that makes the call; holds the secret key.
    """

    method: str
    url: str
    params: object = field(default=None, repr=False)
    options: object = field(default=None, repr=False)
    account: str = ""
    idempotency_key_given: bool = False
    api_version: str = ""
    server: str = ""
    requestor: object = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """
    What came of a call.

    Attributes:
        status: HTTP status; None when no answer came.
        body: raw, as received, also of error answers; None for streams and without an answer.
        headers: by name in any case.
        error: what the library raised instead of an answer. May quote personal data: use its class only.
        request_id: Stripe's id of the request, "" when unknown.
        seconds: how long it took, retries included.
    """

    status: int | None
    body: str | bytes | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=Headers, repr=False)
    error: BaseException | None = field(default=None, repr=False)
    request_id: str = ""
    seconds: float = 0.0


def read_call(requestor: object, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> ApiCall:
    """Read the arguments of `_APIRequestor.request_raw`; the requestor knows what its client was set up with."""
    method, url, params, options = (
        args[index] if index < len(args) else kwargs.get(name)
        for index, name in enumerate(("method", "url", "params", "options"))
    )
    own = getattr(requestor, "_options", None)
    chosen = options if isinstance(options, Mapping) else {}
    version = chosen.get("stripe_version") or getattr(own, "stripe_version", None) or ""
    bases = getattr(own, "base_addresses", None)
    server = bases.get(kwargs.get("base_address", "api")) if isinstance(bases, Mapping) else None
    return ApiCall(
        method=str(method).upper(),
        url=path_of(url) if isinstance(url, str) else "",
        params=params,
        options=options,
        account=_account(chosen, own),
        idempotency_key_given=idempotency_key_given(options),
        api_version=str(version),
        server=str(server or ""),
        requestor=requestor,
    )


def read_answer(answer: object, *, seconds: float) -> ApiAnswer:
    """Read what `_APIRequestor.request_raw` returned: body, status, headers."""
    body, status, raw_headers = cast("tuple[object, object, object]", answer)
    headers = Headers(raw_headers)
    return ApiAnswer(
        status=status if isinstance(status, int) else None,
        body=body if isinstance(body, (str, bytes)) else None,
        headers=headers,
        request_id=_token(headers.get("request-id")),
        seconds=seconds,
    )


def start_span(tracer: Tracer, call: ApiCall) -> Span:
    """Start the CLIENT span of a call. A sampler sees everything that is known before the answer."""
    method = call.method if call.method in _METHODS else "_OTHER"
    template = url_template(call.url)
    attributes: dict[str, str | int] = {HTTP_REQUEST_METHOD: method, URL_TEMPLATE: template}
    address, port = _server(call.server)
    if address:
        attributes[SERVER_ADDRESS] = address
        attributes[SERVER_PORT] = port
    if version := _token(call.api_version):
        attributes[API_VERSION] = version
    return tracer.start_span(f"{method} {template}", kind=SpanKind.CLIENT, attributes=attributes)


def describe(span: Span, answer: ApiAnswer) -> None:
    """Put the outcome on the span. A declined card is an answer like others, not an error of the call."""
    if not span.is_recording():
        return
    attributes, failed = outcome(answer)
    span.set_attributes(attributes)
    if failed:
        span.set_status(Status(StatusCode.ERROR))


def outcome(answer: ApiAnswer) -> tuple[dict[str, str | int | bool], bool]:
    """Return the attributes that an answer gives its span, and whether the call failed."""
    attributes: dict[str, str | int | bool] = {}
    if answer.request_id:
        attributes[REQUEST_ID] = answer.request_id
    if version := _token(answer.headers.get("stripe-version")):
        attributes[API_VERSION] = version
    if answer.headers.get("idempotent-replayed", "").lower() == "true":
        attributes[REPLAYED] = True
    if answer.status is None:
        if answer.error is not None:
            attributes[ERROR_TYPE] = type(answer.error).__qualname__
        return attributes, answer.error is not None
    attributes[HTTP_RESPONSE_STATUS_CODE] = answer.status
    if answer.status < 400:
        return attributes, False
    code, kind, decline = _error_of(answer.body)
    if code:
        attributes[ERROR_CODE] = code
    if decline:
        attributes[DECLINE_CODE] = decline
    if answer.status == _CARD_ERROR:
        return attributes, False
    attributes[ERROR_TYPE] = code or kind or str(answer.status)
    return attributes, True


def _error_of(body: str | bytes | None) -> tuple[str, str, str]:
    """Return code, type and decline code of Stripe's error body, "" for what is missing or no plain token."""
    if body is None or len(body) > _MAX_ERROR_BODY:
        return "", "", ""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return "", "", ""
    error = parsed.get("error") if isinstance(parsed, dict) else None
    if isinstance(error, str):  # OAuth's form
        return _code(error), "", ""
    if not isinstance(error, dict):
        return "", "", ""
    return _code(error.get("code")), _code(error.get("type")), _code(error.get("decline_code"))


def _server(base: str) -> tuple[str, int]:
    try:
        parts = urlsplit(base)
        return parts.hostname or "", parts.port or (80 if parts.scheme == "http" else 443)
    except ValueError:
        return "", 0


def _account(options: Mapping[str, Any], own: object) -> str:
    """Return the connected account that a call is made for, "" for the account of the API key."""

    def given(name: str) -> object:
        return options.get(name) or getattr(own, name, None)

    account = _header(options, "stripe-account") or given("stripe_account")
    if account:
        return str(account)
    # The path from the key's owner to the account, which an organization's key begins with the platform
    # (docs.stripe.com/context). Events name the connected account alone.
    path = str(_header(options, "stripe-context") or given("stripe_context") or "").split("/")
    if str(given("api_key") or "").startswith(("sk_org_", "rk_org_")):
        del path[0]
    return path[-1] if path and path[-1].startswith("acct_") else ""


def _header(options: Mapping[str, Any], name: str) -> object:
    headers = options.get("headers")
    if not isinstance(headers, Mapping):
        return None
    return next((value for key, value in headers.items() if isinstance(key, str) and key.lower() == name), None)


def _code(value: object) -> str:
    return value if isinstance(value, str) and _CODE.fullmatch(value) else ""


def _token(value: object) -> str:
    return value if isinstance(value, str) and _TOKEN.fullmatch(value) else ""
