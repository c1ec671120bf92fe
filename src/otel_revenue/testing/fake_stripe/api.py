# SPDX-License-Identifier: Apache-2.0
"""One request of the API: key, account, idempotency, answer; and the log of what was received."""

from __future__ import annotations

import base64
import binascii
import json
import logging
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from . import forms, idempotency, routes
from .failure import StripeFailure, invalid, of_status
from .world import Scope

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .world import Obj, World

_KEY: Final = re.compile(r"(?:sk|rk)_(test|live)_\w{3,240}")
_ACCOUNT: Final = re.compile(r"acct_\w{1,64}")
_LOG: Final = logging.getLogger(__name__)
_SECRET_HEADERS: Final = frozenset({"authorization", "cookie", "proxy-authorization"})


@dataclass(frozen=True)
class Received:
    """
    One request that came in, for tests to look at.

    Attributes:
        method, path: of the request.
        params: decoded parameters of query and body.
        headers: names in lower case; without those that hold secrets.
        account: the connected account it was for, "" for the platform.
        idempotency_key: "" for none.
        status: what was answered.
        request_id: `Request-Id` of the answer.
        replayed: the answer was an earlier one, given again for its idempotency key.
    """

    method: str
    path: str
    params: dict[str, Any]
    headers: dict[str, str]
    account: str
    idempotency_key: str
    status: int
    request_id: str
    replayed: bool = False


@dataclass(frozen=True)
class Answer:
    """What goes back."""

    status: int
    body: bytes
    headers: dict[str, str]


@dataclass
class Trouble:
    """The next *left* requests fail with *status*; *path*, when given, must be a part of theirs."""

    left: int
    status: int
    path: str = ""


@dataclass
class Api:
    """
    The API of one fake Stripe.

    Attributes:
        world: its state.
        strict_key: the one key that is accepted; "" for any of the right mode.
        received: the log.
        troubles: failures that were asked for.
    """

    world: World
    strict_key: str = ""
    received: list[Received] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    keys: idempotency.Keys = field(default_factory=idempotency.Keys)

    def handle(self, method: str, path: str, query: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Answer one request; never raises for what a client sends. *headers* have names in lower case."""
        with self.world.lock:
            request_id = self.world.ids.new("request")
            scope = Scope(
                self.world,
                account=headers.get("stripe-account", ""),
                request_id=request_id,
                idempotency_key=headers.get("idempotency-key"),
                version=headers.get("stripe-version", ""),
            )
            answer, params, replayed = self._answer(scope, method, path, query, body, headers)
            self.received.append(
                Received(
                    method,
                    path,
                    params,
                    {k: v for k, v in headers.items() if k not in _SECRET_HEADERS},
                    scope.account,
                    scope.idempotency_key or "",
                    answer.status,
                    request_id,
                    replayed=replayed,
                )
            )
            return answer

    def refuse(self, method: str, path: str, message: str, status: int) -> Answer:
        """Answer a request that is not even looked at."""
        with self.world.lock:
            scope = Scope(self.world, request_id=self.world.ids.new("request"), version="")
            answer = _failed(scope, invalid(message, status=status, executed=False))
            self.received.append(Received(method, path, {}, {}, "", "", status, scope.request_id or ""))
            return answer

    def _answer(
        self, scope: Scope, method: str, path: str, query: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[Answer, Obj, bool]:
        params: Obj = {}
        try:
            params = _decoded(query, body)
            self._check_key(headers.get("authorization", ""))
            self._check_trouble(path)
            _check_account(scope.account)
            key = scope.idempotency_key if method == "POST" else None
            if key is None:
                return self._run(scope, method, path, params), params, False
            print_ = idempotency.fingerprint(method, path, params)
            earlier = self.keys.earlier(scope.account, key, path, print_)
            if earlier is not None:
                again = {"Idempotent-Replayed": "true", "Original-Request": earlier.request_id}
                return _with(scope, earlier.status, earlier.body, again), params, True
            return self._keep(scope, key, path, print_, lambda: self._run(scope, method, path, params)), params, False
        except StripeFailure as failure:
            return _failed(scope, failure), params, False
        except Exception:  # noqa: BLE001 - a fault of the fake: answered as Stripe would, and logged with its place
            _LOG.exception("%s %s", method, path)
            return _failed(scope, of_status(500)), params, False

    def _keep(self, scope: Scope, key: str, path: str, print_: str, run: Callable[[], Answer]) -> Answer:
        try:
            answer = run()
        except StripeFailure as failure:
            if not failure.executed:
                raise
            answer = _failed(scope, failure)
        assert scope.request_id is not None
        self.keys.keep(scope.account, key, idempotency.Kept(path, print_, answer.status, answer.body, scope.request_id))
        return answer

    def _run(self, scope: Scope, method: str, path: str, params: Obj) -> Answer:
        with self.world.operation():
            result = routes.answer(scope, method, path, params)
        return _with(scope, 200, _json(result), {})

    def _check_key(self, authorization: str) -> None:
        key = _key_in(authorization)
        if not key:
            message = (
                "You did not provide an API key. You need to provide your API key in the Authorization header, using "
                "Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
            )
            raise invalid(message, status=401, executed=False)
        form = _KEY.fullmatch(key)
        mode = "live" if self.world.livemode else "test"
        if form is None or form[1] != mode or (self.strict_key and key != self.strict_key):
            raise invalid(f"Invalid API Key provided: {_masked(key)}", status=401, executed=False)

    def _check_trouble(self, path: str) -> None:
        for trouble in self.troubles:
            if trouble.left > 0 and trouble.path in path:
                trouble.left -= 1
                raise of_status(trouble.status)


def _check_account(account: str) -> None:
    if account and not _ACCOUNT.fullmatch(account):
        raise of_status(403)


def _decoded(query: str, body: bytes) -> Obj:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise invalid("Invalid request: the body is no UTF-8.", executed=False) from None
    try:
        return {**forms.decode(query), **forms.decode(text)}
    except ValueError:
        raise invalid("Invalid request: too many parameters.", executed=False) from None


def _key_in(authorization: str) -> str:
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(rest).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""


def _masked(key: str) -> str:
    return key[:8] + "*" * max(0, len(key) - 12) + key[-4:] if len(key) > 12 else "*" * len(key)


def _json(value: object) -> bytes:
    return json.dumps(value, indent=2, ensure_ascii=False).encode(errors="replace")


def _failed(scope: Scope, failure: StripeFailure) -> Answer:
    error = {**failure.error, "request_log_url": f"https://dashboard.stripe.com/test/logs/{scope.request_id}"}
    return _with(scope, failure.status, _json({"error": error}), {})


def _with(scope: Scope, status: int, body: bytes, headers: dict[str, str]) -> Answer:
    own = {
        "Content-Type": "application/json",
        "Request-Id": scope.request_id or "",
        "Stripe-Version": scope.version or scope.world.api_version,
    }
    if scope.idempotency_key:
        own["Idempotency-Key"] = scope.idempotency_key
    if scope.account:
        own["Stripe-Account"] = scope.account
    return Answer(status, body, own | headers)
