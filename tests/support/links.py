"""Which deliveries speak of one payment, told by ids alone: a reading of our own, to hold the ledger against."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .stripe_events import EVIDENCE

if TYPE_CHECKING:
    from collections.abc import Iterable

OF_PAYMENTS = ("cs_", "pi_", "ch_", "py_", "in_")


def ids_of(body: dict[str, Any]) -> set[str]:
    """Return the ids that one delivery names, each with its account; a cut one ends with an asterisk."""
    obj = body["data"]["object"]
    how = obj.get("payment") or {}
    reference = (obj.get("payment_details") or {}).get("order_reference") or ""
    named = [obj.get(key) for key in ("id", "payment_intent", "latest_charge", "charge", "invoice")]
    named += [how.get("payment_intent"), how.get("charge")]
    named.append(f"{reference}*" if len(reference) == 25 else reference)
    account = body.get("account", "")
    return {f"{account}/{name}" for name in named if isinstance(name, str) and name.startswith(OF_PAYMENTS)}


class Links:
    """The components of what was delivered so far."""

    def __init__(self) -> None:
        self._components: list[set[str]] = []

    def add(self, body: dict[str, Any]) -> None:
        """Take one more delivery; what the ledger does not read is not read here either."""
        if body["type"] not in EVIDENCE:
            return
        joined = ids_of(body)
        rest = []
        for component in self._components:
            if _touch(component, joined):
                joined |= component
            else:
                rest.append(component)
        # What was joined may itself touch what was passed over: until nothing changes.
        while touching := [c for c in rest if _touch(c, joined)]:
            joined = joined.union(*touching)
            rest = [c for c in rest if c not in touching]
        self._components = [*rest, joined]

    def of(self, names: Iterable[str]) -> set[str]:
        """Return everything that is linked with one of *names*."""
        wanted = set(names)
        return set().union(*(c for c in self._components if _touch(c, wanted)))


def _touch(a: set[str], b: set[str]) -> bool:
    if a & b:
        return True
    cuts = [(cut[:-1], other) for cut in a if cut.endswith("*") for other in b]
    cuts += [(cut[:-1], other) for cut in b if cut.endswith("*") for other in a]
    return any(other.startswith(cut) for cut, other in cuts)
