# SPDX-License-Identifier: Apache-2.0
"""What is bought: units, SKUs and tier, from create parameters (requested) or from lines that Stripe returned (confirmed). Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .picked import MAX_TEXT, as_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from otel_revenue.ledger.model import Labels

REQUESTED: Final = "requested"
"""Source of candidates that are known only from the request: quantities can still change on Stripe's page."""

_MAX_LINES: Final = 100


def from_params(
    params: Mapping[str, Any], sku_from: Sequence[str], tier_from: Sequence[str], clean: Callable[[str], str | None]
) -> Labels:
    """Return candidates from the create parameters of a Session (`line_items`) or a Subscription (`items`), as plain JSON."""
    lines = params.get("line_items") or params.get("items")
    return _labels(_lines(lines), sku_from, tier_from, clean, source=REQUESTED, rank=8)


def from_lines(
    container: object, sku_from: Sequence[str], tier_from: Sequence[str], clean: Callable[[str], str | None]
) -> Labels:
    """Return candidates from a list of lines that Stripe returned: `invoice.lines`, or expanded `session.line_items`."""
    if not isinstance(container, dict) or container.get("has_more"):
        return {}  # the first ten lines alone would give wrong counts
    return _labels(_lines(container.get("data")), sku_from, tier_from, clean, source="lines", rank=1)


def _labels(
    lines: Sequence[Mapping[str, Any]],
    sku_from: Sequence[str],
    tier_from: Sequence[str],
    clean: Callable[[str], str | None],
    *,
    source: str,
    rank: int,
) -> Labels:
    if not lines:
        return {}
    labels: Labels = {}
    counts = [_quantity(line.get("quantity", 1)) for line in lines]
    if all(c is not None for c in counts):
        labels["item_count"] = {source: [rank, sum(c for c in counts if c is not None)]}
    skus = [sku for line in lines if (sku := _first(line, sku_from, clean))]
    if skus:
        labels["skus"] = {source: [rank, list(dict.fromkeys(skus))]}
    for name in tier_from:
        value = next((v for line in lines if (v := _value(line, name, clean))), None)
        if value:
            labels.setdefault("tier", {})[name] = [rank, value]
    return labels


def _lines(value: object) -> Sequence[Mapping[str, Any]]:
    if isinstance(value, dict):  # form values arrive as {"0": {...}, "1": {...}}
        value = list(value.values())
    items: Iterable[Any] = value if isinstance(value, list) else ()
    return [item for item in items if isinstance(item, dict)][:_MAX_LINES]


def _quantity(value: object) -> int | None:
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit() and len(value) < 10:
        return int(value)
    return value if type(value) is int and 0 <= value < 10**9 else None


def _first(line: Mapping[str, Any], sources: Sequence[str], clean: Callable[[str], str | None]) -> str | None:
    return next((value for name in sources if (value := _value(line, name, clean))), None)


def _value(line: Mapping[str, Any], name: str, clean: Callable[[str], str | None]) -> str | None:
    place, _, key = name.partition(".metadata.")
    found: object = None
    if key and place == "line":
        found = _dict(line.get("metadata")).get(key)
    elif key and place == "price":
        found = _dict(_price(line).get("metadata")).get(key)
    elif key and place == "product":
        found = _dict(_product(line).get("metadata")).get(key)
    elif name.startswith("price."):
        found = _price(line).get(name[6:])
    elif name == "product.id":
        found = _product(line).get("id")
    text = as_text(found)
    return (clean(text) or None) if 0 < len(text) <= MAX_TEXT else None


def _price(line: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the line knows of its price: an id in parameters, an object in answers, a reference on newer invoices."""
    price = (
        line.get("price")
        or line.get("price_data")
        or _dict(_dict(line.get("pricing")).get("price_details")).get("price")
    )
    return {"id": price} if isinstance(price, str) else _dict(price)


def _product(line: Mapping[str, Any]) -> dict[str, Any]:
    price = _price(line)
    product = (
        price.get("product_data")
        or price.get("product")
        or _dict(_dict(line.get("pricing")).get("price_details")).get("product")
    )
    return {"id": product} if isinstance(product, str) else _dict(product)


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
