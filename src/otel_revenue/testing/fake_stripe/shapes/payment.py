# SPDX-License-Identifier: Apache-2.0
"""PaymentIntents, charges, refunds, SetupIntents, balance transactions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .catalogue import method_details

if TYPE_CHECKING:
    from otel_revenue.testing.fake_stripe.buyer import Instrument

Obj = dict[str, Any]


def intent(object_id: str, created: int, amount: int, currency: str, **fields: Any) -> Obj:
    """
    A PaymentIntent.

    Since 2025-03-31 it does not name its invoice, since 2022-11-15 it does not hold its charges.
    """
    return {
        "id": object_id,
        "object": "payment_intent",
        "allowed_payment_method_types": None,
        "amount": amount,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic_async",
        "client_secret": None,
        "confirmation_method": "automatic",
        "created": created,
        "currency": currency,
        "customer": None,
        "customer_account": None,
        "description": None,
        "excluded_payment_method_types": None,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "metadata": {},
        "next_action": None,
        "on_behalf_of": None,
        "payment_details": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {"card": {"request_three_d_secure": "automatic"}},
        "payment_method_types": ["card"],
        "payment_record": None,
        "processing": None,
        "receipt_email": None,
        "review": None,
        "setup_future_usage": None,
        "shipping": None,
        "source": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "requires_payment_method",
        "transfer_data": None,
        "transfer_group": None,
        **fields,
    }


def charge(object_id: str, created: int, amount: int, currency: str, **fields: Any) -> Obj:
    """A charge. With asynchronous capture its `balance_transaction` comes later, in `charge.updated`."""
    return {
        "id": object_id,
        "object": "charge",
        "amount": amount,
        "amount_captured": 0,
        "amount_refunded": 0,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": None,
        "billing_details": {"address": None, "email": None, "name": None, "phone": None, "tax_id": None},
        "calculated_statement_descriptor": "FAKE BUSINESS",
        "captured": False,
        "created": created,
        "currency": currency,
        "customer": None,
        "description": None,
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "fraud_details": {},
        "livemode": False,
        "metadata": {},
        "on_behalf_of": None,
        "outcome": None,
        "paid": False,
        "payment_intent": None,
        "payment_method": None,
        "payment_method_details": None,
        "radar_options": {},
        "receipt_email": None,
        "receipt_number": None,
        "receipt_url": None,
        "refunded": False,
        "review": None,
        "shipping": None,
        "source": None,
        "source_transfer": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "pending",
        "transfer_data": None,
        "transfer_group": None,
        **fields,
    }


def charge_method(used: Instrument, amount: int, *, manual: bool) -> Obj:
    """`payment_method_details` of a charge."""
    if used.type != "card":
        return {"type": used.type, used.type: method_details(used)}
    return {
        "card": {
            "amount_authorized": amount,
            "authorization_code": "097231",
            "brand": used.brand,
            "capture_before": None,
            "checks": {"address_line1_check": "pass", "address_postal_code_check": "pass", "cvc_check": "pass"},
            "country": used.country,
            "exp_month": 4,
            "exp_year": 2030,
            "extended_authorization": {"status": "disabled"},
            "fingerprint": "Xt5EWLLDS7FJjR1c",
            "funding": used.funding,
            "incremental_authorization": {"status": "unavailable"},
            "installments": None,
            "last4": used.last4,
            "mandate": None,
            "multicapture": {"status": "available" if manual else "unavailable"},
            "network": used.brand,
            "network_token": {"used": False},
            "network_transaction_id": "104557651805572",
            "overcapture": {"maximum_amount_capturable": amount, "status": "unavailable"},
            "regulated_status": "unregulated",
            "three_d_secure": None,
            "wallet": None,
        },
        "type": "card",
    }


def outcome(used: Instrument) -> Obj:
    """`outcome` of a charge: what the networks and Radar said."""
    declined = bool(used.decline)
    return {
        "advice_code": "try_again_later" if declined else None,
        "network_advice_code": None,
        "network_decline_code": "05" if declined else None,
        "network_status": "declined_by_network" if declined else "approved_by_network",
        "reason": used.decline or None,
        "risk_level": "normal",
        "risk_score": 3,
        "seller_message": "The bank did not return any further details with this decline."
        if declined
        else "Payment complete.",
        "type": "issuer_declined" if declined else "authorized",
    }


def refund(object_id: str, created: int, amount: int, charge: Obj, **fields: Any) -> Obj:
    """A refund of (a part of) *charge*."""
    return {
        "id": object_id,
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": charge["id"],
        "created": created,
        "currency": charge["currency"],
        "destination_details": {
            "card": {"reference_status": "pending", "reference_type": "acquirer_reference_number", "type": "refund"},
            "type": "card",
        },
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "reason": None,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "succeeded",
        "transfer_reversal": None,
        **fields,
    }


def dispute(object_id: str, created: int, amount: int, charge: Obj, reason: str) -> Obj:
    """A dispute of (a part of) *charge*, waiting for the shop's answer."""
    card = (charge["payment_method_details"] or {}).get("card") or {}
    return {
        "id": object_id,
        "object": "dispute",
        "amount": amount,
        "balance_transactions": [],
        "charge": charge["id"],
        "created": created,
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {"customer_email_address": charge["receipt_email"], "uncategorized_text": None},
        "evidence_details": {
            "due_by": created + 1_209_600,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": False,
        "livemode": False,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "payment_method_details": {
            "card": {"brand": card.get("brand"), "case_type": "chargeback", "network_reason_code": "10"},
            "type": "card",
        },
        "reason": reason,
        "status": "needs_response",
    }


def balance_transaction(object_id: str, created: int, amount: int, currency: str, source: str) -> Obj:
    """What reached the balance: amount less fee (2.9 % + 30, rounded down), in the charge's own currency."""
    fee = min(amount, amount * 29 // 1000 + 30)
    return {
        "id": object_id,
        "object": "balance_transaction",
        "amount": amount,
        "available_on": created + 604_800,
        "balance_type": "payments",
        "created": created,
        "currency": currency,
        "description": None,
        "exchange_rate": None,
        "fee": fee,
        "fee_details": [
            {
                "amount": fee,
                "application": None,
                "currency": currency,
                "description": "Stripe processing fees",
                "type": "stripe_fee",
            }
        ],
        "net": amount - fee,
        "reporting_category": "charge",
        "source": source,
        "status": "pending",
        "type": "charge",
    }


def setup_intent(object_id: str, created: int, **fields: Any) -> Obj:
    """A SetupIntent; Checkout's has succeeded when it is made."""
    return {
        "id": object_id,
        "object": "setup_intent",
        "allowed_payment_method_types": None,
        "application": None,
        "automatic_payment_methods": None,
        "cancellation_reason": None,
        "client_secret": None,
        "created": created,
        "customer": None,
        "customer_account": None,
        "description": None,
        "excluded_payment_method_types": None,
        "flow_directions": None,
        "last_setup_error": None,
        "latest_attempt": None,
        "livemode": False,
        "mandate": None,
        "metadata": {},
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {},
        "payment_method_types": ["card"],
        "single_use_mandate": None,
        "status": "succeeded",
        "usage": "off_session",
        **fields,
    }
