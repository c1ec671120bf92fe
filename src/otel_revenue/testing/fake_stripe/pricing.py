# SPDX-License-Identifier: Apache-2.0
"""
What line items cost, discounts and taxes included: integers, rounded half up per line, as a till does.

Source: Stripe documentation, "How Checkout computes totals" (total = subtotal - discount + exclusive tax + shipping).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Final

from otel_revenue.schema.money import EXPONENTS

from . import params as read
from .catalogue import create_price
from .failure import invalid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .world import Obj, Scope


@dataclass(frozen=True)
class Line:
    """
    One line of an order, in minor units.

    Attributes:
        price: the price; None for an invoice item of a bare amount.
        quantity: how many.
        subtotal: before discount and exclusive tax.
        discount: taken off.
        tax: exclusive and inclusive tax.
        inclusive: how much of the tax is already inside the subtotal.
        description, metadata: of the line.
        tax_rates: what taxes it.
        item: id of the invoice item it came from, "" for none.
    """

    price: Obj | None
    quantity: int
    subtotal: int
    discount: int = 0
    tax: int = 0
    inclusive: int = 0
    description: str = ""
    metadata: Obj | None = None
    tax_rates: tuple[Obj, ...] = ()
    item: str = ""

    @property
    def total(self) -> int:
        """What the line costs in the end."""
        return self.subtotal - self.discount + self.tax - self.inclusive


def read_lines(scope: Scope, items: Sequence[Obj]) -> list[Line]:
    """
    Return the lines that *items* (parameters with `price` or `price_data`) ask for.

    Raises:
        StripeFailure: a price is missing or not known, or the currencies differ.
    """
    lines = []
    for index, item in enumerate(items):
        path = f"line_items[{index}]"
        if item.get("price_data"):
            data = read.hash_of(item, "price_data")
            read.currency(data, path=f"{path}[price_data][currency]")
            price = create_price(scope, data, active=False)
        elif item.get("price"):
            price = scope.get("price", item["price"], f"{path}[price]")
        else:
            raise invalid(
                "You must specify either `price` or `price_data` when creating line items.", param=path, executed=False
            )
        quantity = read.integer(item, "quantity", least=0)
        if quantity is None:
            if not price["recurring"] and "quantity" not in item:
                raise invalid("Quantity is required. Add `quantity` to `line_items[0]`.", param=f"{path}[quantity]")
            quantity = 1
        product = scope.find(price["product"], "product")
        lines.append(
            Line(
                price=price,
                quantity=quantity,
                subtotal=price["unit_amount"] * quantity,
                description=product["name"] if product else "",
                metadata=read.metadata(item),
                tax_rates=tuple(scope.get("tax_rate", t, "tax_rates") for t in read.list_of(item, "tax_rates")),
            )
        )
    if len({line.price["currency"] for line in lines if line.price}) > 1:
        raise invalid("All prices on a Checkout Session must have the same currency.", param="line_items")
    return lines


def coupon_in(scope: Scope, discounts: Sequence[Obj]) -> Obj | None:
    """Return the coupon that *discounts* (parameters) name, None when they name none."""
    for given in discounts:
        if given.get("coupon"):
            return scope.get("coupon", given["coupon"], "discounts[0][coupon]")
        if given.get("promotion_code"):
            code = scope.get("promotion_code", given["promotion_code"], "discounts[0][promotion_code]")
            return scope.get("coupon", code["promotion"]["coupon"])
    return None


def priced(scope: Scope, lines: Sequence[Line], coupon: Obj | None) -> list[Line]:
    """Return *lines* with the coupon taken off and the taxes put on."""
    whole = sum(line.subtotal for line in lines)
    off = 0
    if coupon is not None:
        percent = scope.hidden(coupon).get("percent")
        off = _share(whole, percent) if percent is not None else min(whole, coupon["amount_off"])
    done: list[Line] = []
    seen = given = 0
    for line in lines:
        seen += line.subtotal
        # Running shares, so that the parts add up to the whole discount.
        part = 0 if not whole else off * seen // whole - given
        given += part
        done.append(_taxed(scope, replace(line, discount=part)))
    return done


def _taxed(scope: Scope, line: Line) -> Line:
    tax = inclusive = 0
    base = line.subtotal - line.discount
    for rate in line.tax_rates:
        percent = scope.hidden(rate)["percent"]
        if rate["inclusive"]:
            part = base - int((Decimal(base) * 100 / (100 + percent)).to_integral_value(ROUND_HALF_UP))
            inclusive += part
        else:
            part = _share(base, percent)
        tax += part
    return replace(line, tax=tax, inclusive=inclusive)


def _share(amount: int, percent: Decimal) -> int:
    return int((Decimal(amount) * percent / 100).to_integral_value(ROUND_HALF_UP))


# What a thousandth of a euro buys, per thousand: made up, and the same in every run.
_PER_1000_EUR: Final = {
    "aud": 1650,
    "brl": 6000,
    "cad": 1500,
    "chf": 950,
    "eur": 1000,
    "gbp": 850,
    "inr": 90_000,
    "jpy": 160_000,
    "kwd": 335,
    "sek": 11_500,
    "usd": 1100,
}


def presented(amount: int, currency: str, wanted: str) -> Obj | None:
    """
    Return `presentment_details`: *amount* of *currency* in the currency that the buyer would rather pay in.

    None when that is the same one, or one for which this fake has no rate.
    """
    wanted = wanted.lower()
    if wanted == currency or wanted not in _PER_1000_EUR or currency not in _PER_1000_EUR:
        return None
    numerator = amount * _PER_1000_EUR[wanted] * 10 ** EXPONENTS[wanted.upper()]
    denominator = _PER_1000_EUR[currency] * 10 ** EXPONENTS[currency.upper()]
    return {"presentment_amount": numerator // denominator, "presentment_currency": wanted}
