# SPDX-License-Identifier: Apache-2.0
"""
Stripe's errors, in Stripe's JSON and with its statuses.

Source: Stripe API reference, "Errors" and "Error codes".
"""

from __future__ import annotations

from typing import Any, Final

Obj = dict[str, Any]

_DECLINES: Final[dict[str, tuple[str, str]]] = {
    # decline_code → (code, message for the buyer)
    "authentication_required": (
        "authentication_required",
        "Your card was declined. This transaction requires authentication.",
    ),
    "expired_card": ("expired_card", "Your card has expired."),
    "fraudulent": ("card_declined", "Your card was declined."),
    "generic_decline": ("card_declined", "Your card was declined."),
    "incorrect_cvc": ("incorrect_cvc", "Your card's security code is incorrect."),
    "insufficient_funds": ("card_declined", "Your card has insufficient funds."),
    "lost_card": ("card_declined", "Your card was declined."),
    "processing_error": (
        "processing_error",
        "An error occurred while processing your card. Try again in a little bit.",
    ),
    "stolen_card": ("card_declined", "Your card was declined."),
}
DECLINE_CODES: Final = frozenset(_DECLINES)


class StripeFailure(Exception):
    """
    An answer that is an error.

    Attributes:
        status: HTTP status.
        error: what stands under `error` in the body.
        executed: False when the request was refused before it did anything; such answers are not kept for replay.
    """

    def __init__(self, status: int, error: Obj, *, executed: bool = True) -> None:
        super().__init__(error.get("message", ""))
        self.status = status
        self.error = error
        self.executed = executed


def invalid(
    message: str, *, code: str = "", param: str = "", status: int = 400, executed: bool = True
) -> StripeFailure:
    """Return an `invalid_request_error`."""
    error: Obj = {"message": message, "type": "invalid_request_error"}
    if code:
        error |= {"code": code, "doc_url": f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"}
    if param:
        error["param"] = param
    return StripeFailure(status, error, executed=executed)


def unknown_parameter(name: str) -> StripeFailure:
    """Return the error for a parameter that the endpoint does not have."""
    return invalid(f"Received unknown parameter: {name}", code="parameter_unknown", param=name, executed=False)


def missing_parameter(name: str) -> StripeFailure:
    """Return the error for a parameter that must be there."""
    return invalid(f"Missing required param: {name}.", code="parameter_missing", param=name, executed=False)


def no_such(kind: str, value: object, param: str = "id") -> StripeFailure:
    """Return the error for an id that is not known (404 when it stands in the path, 400 when it is a parameter)."""
    name = "PaymentMethod" if kind == "payment_method" else kind
    return invalid(
        f"No such {name}: '{value}'", code="resource_missing", param=param, status=404 if param == "id" else 400
    )


def decline(decline_code: str) -> Obj:
    """Return what Stripe says about a declined card, as it stands in `last_payment_error` too."""
    code, message = _DECLINES.get(decline_code, ("card_declined", "Your card was declined."))
    return {
        "code": code,
        "decline_code": decline_code,
        "doc_url": f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}",
        "message": message,
        "type": "card_error",
    }


def of_status(status: int) -> StripeFailure:
    """Return what Stripe answers with *status* when the trouble is its own or the traffic's."""
    kinds = {
        400: ("invalid_request_error", "", "Invalid request."),
        401: ("invalid_request_error", "", "Invalid API Key provided: sk_test_********."),
        403: (
            "invalid_request_error",
            "account_invalid",
            "The provided key does not have access to this account, or it does not exist.",
        ),
        409: (
            "invalid_request_error",
            "lock_timeout",
            "This object cannot be accessed right now because another API request or Stripe process is currently accessing it.",
        ),
        429: ("invalid_request_error", "rate_limit", "Request rate limit exceeded."),
    }
    kind, code, message = kinds.get(
        status, ("api_error", "", "An unknown error occurred. It was not your fault: try again.")
    )
    error: Obj = {"message": message, "type": kind}
    if code:
        error["code"] = code
    return StripeFailure(status, error, executed=False)
