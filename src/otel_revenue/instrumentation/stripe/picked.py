# SPDX-License-Identifier: Apache-2.0
"""
How single fields are read out of Stripe's JSON: by type and by form, never by trust.

Whatever stands in a field, nothing here raises: a value of another type or form counts as absent, except for money,
where it is a *problem* (see `Picked.problem`).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from otel_revenue.errors import BadMoney
from otel_revenue.ledger.model import Alias, Certainty, Evidence, Labels, Setback, Soft
from otel_revenue.schema.money import MAX_MINOR, checked_currency, checked_minor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

TRACE_KEY: Final = "otel_traceparent"
MAX_TEXT: Final = 1000
"""Stripe's limits are 500 characters in metadata and 200 in references: what is longer is none of Stripe's."""

_ID = re.compile(r"[A-Za-z][A-Za-z0-9_]{2,254}")
_COUNTRY = re.compile(r"[A-Za-z]{2}")
_CODE = re.compile(r"[a-z0-9_]{1,40}")
# What apps put into `client_reference_id`: an id. A name has a space, an address an at sign.
_REFERENCE = re.compile(r"[A-Za-z0-9._:/#=+~-]{1,200}")
_TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True, slots=True)
class Reader:
    """
    How to read objects of one event or answer.

    Attributes:
        account: the connected account the object belongs to, "" for the platform.
        at_ns: when the far end says that what is told happened.
        livemode: Stripe's flag, from the event where there is one.
        emit_zero: whether zero amounts are evidence.
        metadata_keys: metadata keys that are configured as a source, by attribute.
        sku_from, tier_from: where SKU and tier of a line come from.
        clean: returns text as it may be stored, or None where it must not be (looks like personal data).
    """

    account: str
    at_ns: int
    livemode: bool | None
    emit_zero: bool
    metadata_keys: Mapping[str, tuple[str, ...]]
    sku_from: Sequence[str]
    tier_from: Sequence[str]
    clean: Callable[[str], str | None]

    def alias(self, kind: str, value: object) -> tuple[Alias, ...]:
        """Return the alias of an id (or of an expanded object), nothing for anything else."""
        found = id_of(value)
        return (Alias(kind, self.account, found),) if found else ()

    def text(self, value: object) -> str | None:
        """Return text, or an integer as text, as it may be stored; None for anything else."""
        plain = as_text(value)
        return self.clean(plain) if 0 < len(plain) <= MAX_TEXT else None

    def reference(self, value: object) -> str | None:
        """Return text that has the form of an id, as it may be stored; None for anything else."""
        return self.text(value) if isinstance(value, str) and _REFERENCE.fullmatch(value) else None


@dataclass(slots=True)
class Picked:
    """
    What one object gave.

    `problem` is a constant, set when the object speaks of money and that cannot be read: then there is no evidence. Ids
    and labels stay, so that other news of the same payment loses nothing by it.
    """

    aliases: tuple[Alias, ...] = ()
    truncated: tuple[Alias, ...] = ()
    evidence: Evidence | None = None
    billing: bool = False
    settles: bool = False
    soft: Soft | None = None
    labels: Labels = field(default_factory=dict)
    traceparent: str = ""
    created_ns: int = 0
    setback: Setback | None = None
    problem: str = ""

    def label(self, name: str, source: str, rank: float, value: Any) -> None:
        """Add a candidate; None and "" are no candidates."""
        if value is not None and value != "":
            self.labels.setdefault(name, {})[source] = [rank, value]


def id_of(value: object) -> str:
    """Return a Stripe id, from its text or from the expanded object; "" when it is none."""
    if isinstance(value, dict):
        value = value.get("id")
    return value if isinstance(value, str) and _ID.fullmatch(value) else ""


def mapping(value: object) -> dict[str, Any]:
    """Return *value* if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def mappings(value: object) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects of a JSON array, nothing for anything else."""
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, dict))


def as_text(value: object) -> str:
    """Return text without blanks around it, or a 64-bit integer as text; "" for anything else."""
    if isinstance(value, str):
        return value.strip()
    return str(value) if type(value) is int and value.bit_length() <= 64 else ""


def seconds_ns(value: object) -> int:
    """Return Stripe's time in whole seconds as nanoseconds; 0 when it is none."""
    return value * 10**9 if type(value) is int and 0 < value < 9_000_000_000 else 0


def code(value: object) -> str | None:
    """Return a constant of Stripe's, such as `card` or `sepa_debit`."""
    return value if isinstance(value, str) and _CODE.fullmatch(value) else None


def country(value: object) -> str | None:
    """Return a country of two letters, upper case."""
    return value.upper() if isinstance(value, str) and _COUNTRY.fullmatch(value) else None


def country_at(obj: Mapping[str, Any], *path: str) -> str | None:
    """Return the country of the address that stands at *path*."""
    inner: Mapping[str, Any] = obj
    for key in path:
        inner = mapping(inner.get(key))
    return country(inner.get("country"))


def traceparent(metadata: object) -> str:
    """Return the trace context that a checkout left in metadata; "" when there is none."""
    value = mapping(metadata).get(TRACE_KEY)
    return value if isinstance(value, str) and _TRACEPARENT.fullmatch(value) else ""


def livemode(value: object, reader: Reader) -> bool | None:
    """Return Stripe's flag: the event's where there is one, else the object's."""
    if reader.livemode is not None:
        return reader.livemode
    return value if isinstance(value, bool) else None


def sum_of(parts: object) -> int | None:
    """Return the sum of `amount` over a list, 0 for an absent list, None where one of them is no amount."""
    if parts is None:
        return 0
    if not isinstance(parts, list):
        return None
    try:
        return sum(checked_minor(mapping(part).get("amount")) for part in parts)
    except BadMoney:
        return None


def put_evidence(
    picked: Picked,
    own: tuple[Alias, ...],
    authority: int,
    amount: object,
    currency: object,
    reader: Reader,
    certainty: Certainty,
    at_ns: int = 0,
) -> None:
    """Note that *own* says money was taken; an amount, currency or id that cannot be read is a problem."""
    try:
        minor = checked_minor(amount)
        letters = checked_currency(currency)
    except BadMoney as error:
        picked.problem = error.reason
        return
    if not own:
        picked.problem = "id_missing"
        return
    if minor > 0 or reader.emit_zero:
        picked.evidence = Evidence(own[0], authority, minor, letters, at_ns or reader.at_ns, certainty)


def put_soft(picked: Picked, obj: Mapping[str, Any], reader: Reader) -> None:
    """
    Note what a billing object without a common id is joined by.

    Only what says that money was taken has one: an amount that was asked for can change before it is paid. Never one-off
    payments: two of one buyer can be alike to the second.
    """
    customer, evidence = id_of(obj.get("customer")), picked.evidence
    if not picked.billing or not customer or evidence is None:
        return
    live = livemode(obj.get("livemode"), reader)
    text = "|".join((reader.account, str(live), customer, str(evidence.amount_minor), evidence.currency))
    # A digest: the customer's id stays with Stripe.
    picked.soft = Soft(hashlib.sha256(text.encode()).hexdigest()[:32], seconds_ns(obj.get("created")) or reader.at_ns)


def put_common(picked: Picked, obj: Mapping[str, Any], reader: Reader, *, rank: float) -> None:
    """Note what every object may carry: configured metadata, the trace context, mode, presentment amounts."""
    put_metadata(picked, obj.get("metadata"), reader, rank)
    picked.traceparent = traceparent(obj.get("metadata"))
    picked.label("livemode", "object", rank, livemode(obj.get("livemode"), reader))
    shown = mapping(obj.get("presentment_details"))
    try:
        pair = [checked_minor(shown.get("presentment_amount")), checked_currency(shown.get("presentment_currency"))]
    except BadMoney:
        return
    picked.label("presentment", "object", rank, pair)


def put_metadata(picked: Picked, metadata: object, reader: Reader, rank: float) -> None:
    """Note the configured metadata keys, and no others."""
    values = mapping(metadata)
    for name, keys in reader.metadata_keys.items():
        for key in keys:
            value = reader.text(values.get(key))
            picked.label(name, f"metadata.{key}", rank, country(value) if name == "country" else value)


def put_split(picked: Picked, source: str, rank: float, parts: Mapping[str, object], currency: object) -> None:
    """Note the parts of a total, all from one object, so that they add up; a part that is missing or malformed is left out."""
    try:
        letters = checked_currency(currency)
    except BadMoney:
        return
    good = {name: value for name, value in parts.items() if type(value) is int and 0 <= value <= MAX_MINOR}
    if good:
        picked.label("split", source, rank, {**good, "currency": letters})
