# SPDX-License-Identifier: Apache-2.0
"""
Lint of the meaning: one rule, one function; its docstring is the rule, its answer the remedy ("" when all is well).

The rules are applied while an event's class is built: a schema that breaks one cannot be imported.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from .kinds import TYPES, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from .kinds import AttributeInfo

    Rule = Callable[[AttributeInfo, Mapping[str, AttributeInfo]], str]

PERSONAL: Final = frozenset(
    """
    address birth birthday buyer card city comment contact customer cvc cvv description dob email fax fingerprint firstname
    fullname gender iban ip last4 lastname latitude location longitude mail message mobile name nickname note pan passport
    password person phone postal postcode ssn street tel telephone text user username zip
    """.split()
)
"""Words that no attribute may be called by: what they hold is about a person, or may be anything."""

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(?:[._][a-z0-9]+)*")
_TEXT_KINDS: Final = (Kind.ID, Kind.LABEL, Kind.CODE, Kind.FLAG, Kind.IDS)


def well_formed_name(info: AttributeInfo, _: Mapping[str, AttributeInfo]) -> str:
    """A name is lower case, words joined by "_", namespaces by "." (OpenTelemetry, attribute naming)."""
    return "" if _NAME.fullmatch(info.wire) else "call it in lower case, words joined by _ and namespaces by a dot"


def nobody_in_person(info: AttributeInfo, _: Mapping[str, AttributeInfo]) -> str:
    """No name resembles e-mail, name, phone, address, card or free text."""
    words = set(re.split(r"[._]", info.wire)) | {info.wire.replace("_", "").replace(".", "")}
    hit = sorted(words & PERSONAL) or (["email"] if "e_mail" in info.wire else [])
    return f'"{hit[0]}" is about a person or free text: personal data cannot be declared' if hit else ""


def meaning_is_said(info: AttributeInfo, _: Mapping[str, AttributeInfo]) -> str:
    """A meaning is a sentence."""
    said = info.meaning.strip()
    return (
        "" if len(said) >= 8 and said.endswith((".", "...")) else "say in a sentence, with a full stop, what it means"
    )


def example_is_a_value(info: AttributeInfo, _: Mapping[str, AttributeInfo]) -> str:
    """The example is a value as it is on the wire."""
    return "" if _fits(info, info.example) else f"give an example that is a {info.kind.value} (and fits the pattern)"


def _fits(info: AttributeInfo, value: Any) -> bool:
    if info.kind is Kind.IDS:
        return (
            isinstance(value, list)
            and bool(value)
            and all(isinstance(item, str) and 0 < len(item) < 255 for item in value)
        )
    if type(value) is not TYPES[info.kind]:
        return False
    if info.kind is Kind.CODE:
        return re.fullmatch(info.pattern, value) is not None
    return 0 < len(value) < 255 if isinstance(value, str) else value >= 0


def codes_have_a_form(info: AttributeInfo, _: Mapping[str, AttributeInfo]) -> str:
    """A code has a pattern of ASCII and bounded length; nothing else has one."""
    if (info.kind is Kind.CODE) != bool(info.pattern):
        return "give a pattern to a code, and to a code only"
    loose = info.pattern and (re.search(r"\\[dws]|\.[*+]|[*+]|\{\d+,\}", info.pattern.replace(r"\.", "")) is not None)
    return "write a pattern of ASCII classes with bounds: [0-9]{1,3}, not \\d+" if loose else ""


def numbers_have_a_unit(info: AttributeInfo, _: Mapping[str, AttributeInfo]) -> str:
    """A number says its unit ("ms", "{item}", "minor units of currency"); text and flags have none."""
    if info.kind in _TEXT_KINDS:
        return "leave the unit of text and flags empty" if info.unit else ""
    return "" if info.unit else "say the unit of the number"


def suffixes_are_true(info: AttributeInfo, _: Mapping[str, AttributeInfo]) -> str:
    """`_minor` is an integer in minor units, `_ms` an integer of milliseconds, `_count` a count, `_id` an id; and the reverse."""
    suffix = info.wire.rpartition("_")[2] if "_" in info.wire else ""
    if (suffix == "minor") != (info.kind is Kind.MINOR):
        return "end the name of minor units, and of nothing else, in _minor"
    if (suffix == "ms") != (info.unit == "ms"):
        return "end the name of milliseconds, and of nothing else, in _ms"
    if suffix in ("ms", "count") and info.kind is not Kind.COUNT:
        return "make it a count"
    if suffix == "id" and info.wire != "event_id" and info.kind is not Kind.ID:
        return "make it an id"
    return ""


def money_has_its_truth(info: AttributeInfo, beside: Mapping[str, AttributeInfo]) -> str:
    """Beside every amount in major units stands its integer, `<name>_minor`, in the same currency; and the currency itself."""
    if info.kind not in (Kind.MAJOR, Kind.MINOR):
        return ""
    level, _, currency = info.unit.partition(" units of ")
    if level != info.kind.value or currency not in beside:
        return f'let the unit be "{info.kind.value} units of <attribute that names the currency>"'
    if info.kind is Kind.MAJOR:
        truth = beside.get(f"{info.wire}_minor")
        if truth is None or not truth.unit.endswith(f" of {currency}"):
            return f"declare {info.wire}_minor beside it, in the same currency"
    return ""


def labels_are_few(info: AttributeInfo, _: Mapping[str, AttributeInfo]) -> str:
    """Only a label or a code may label a counter: ids and amounts are without bound."""
    few = info.kind in (Kind.LABEL, Kind.CODE) and info.wire not in ("event_id", "schema_version")
    return "" if few or not info.metric_label else "no id, amount or count may label a metric"


def browsers_know_no_money(info: AttributeInfo, _: Mapping[str, AttributeInfo]) -> str:
    """A browser says no amount, no currency and no id of Stripe's: what comes from there is forgeable."""
    money = info.kind in (Kind.MAJOR, Kind.MINOR) or info.wire.endswith("currency") or info.wire.startswith("stripe.")
    return "a browser's word is forgeable: leave out browser=True" if info.browser and money else ""


RULES: Final[tuple[Rule, ...]] = (
    well_formed_name,
    nobody_in_person,
    meaning_is_said,
    example_is_a_value,
    codes_have_a_form,
    numbers_have_a_unit,
    suffixes_are_true,
    money_has_its_truth,
    labels_are_few,
    browsers_know_no_money,
)


def problems(attributes: Iterable[AttributeInfo]) -> list[str]:
    """Return what is wrong with the attributes of one event, all of it at once: "name: remedy"."""
    beside = {info.wire: info for info in attributes}
    return [f"{info.wire}: {remedy}" for info in beside.values() for rule in RULES if (remedy := rule(info, beside))]


def disagreements(events: Mapping[str, Mapping[str, AttributeInfo]]) -> list[str]:
    """Return the attributes that two events declare differently: one name, one meaning of its values."""
    seen: dict[str, tuple[str, tuple[Any, ...]]] = {}
    found = []
    for event, attributes in events.items():
        for wire, info in attributes.items():
            form = (info.kind, info.pattern, info.unit, info.sensitivity, info.metric_label)
            first, known = seen.setdefault(wire, (event, form))
            if form != known:
                found.append(f"{wire}: {event} declares it differently from {first}")
    return found
