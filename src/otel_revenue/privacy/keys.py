# SPDX-License-Identifier: Apache-2.0
"""
What the name of an attribute, a query parameter, a header or a member of an object says about its value.

Names are read as words (`customer_email`, `billingEmail`, `customer[email]` all end in "email"), and judged by their last
words: `email` holds an address, `email.template` does not.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_BRACKETS: Final = re.compile(r"%5[BD]", re.IGNORECASE)
_LONGEST: Final = 256

ENDS: Final[dict[str, str]] = {
    end: kind
    for kind, ends in {
        "email": "email|emails|e mail|mail|email address",
        "phone": "phone|phone number|telephone|tel|mobile|mobile number|fax|msisdn|cellphone",
        "name": "first name|last name|full name|given name|family name|middle name|maiden name|birth name|firstname|lastname|fullname"
        "|surname|user name|username|customer name|billing name|shipping name|cardholder|cardholder name|card name|recipient name"
        "|contact name|holder name|account holder|account holder name|buyer name|person name|payer name|guest name|individual name"
        "|user|enduser id|process owner|user login",
        "address": "street|street 1|street 2|street address|line 1|line 2|address 1|address 2|address line|postcode|postal code|zip|zipcode"
        "|zip code|house number|address|addresses|mailing address|billing address|shipping address|home address|customer address",
        "birth": "dob|birthday|birthdate|birth date|date of birth|birth day|birth month|birth year",
        "id": "ssn|social security number|tax id|tax number|vat id|vat number|national id|passport|passport number|id number"
        "|personal id|driver license|license number",
        "card": "pan|card number|card no|cc number|ccnum|cvc|cvv|cvc 2|cvv 2|card cvc|iban|bic|account number|routing number|sort code",
        "secret": "password|passwd|pwd|passphrase|secret|secrets|token|api key|apikey|private key|access key|secret key|session key"
        "|signing key|authorization|proxy authorization|auth|credential|credentials|cookie|cookies|set cookie|signature|csrf|jwt|bearer"
        "|otp|session id|sessionid|sid|command line|command args|awsaccesskeyid|sig|x goog signature",
        "ip": "ip|ips|ip address|ipaddress|remote addr|remote address|client address|client ip|peer address|peer ip|peer addr|source address"
        "|forwarded for|forwarded|real ip|connecting ip",
    }.items()
    for end in ends.split("|")
}
_ANYWHERE: Final = frozenset({"password", "passwd", "authorization", "cookie", "cvc", "cvv", "ssn"})
_PEOPLE: Final = frozenset(
    "user customer person buyer recipient cardholder owner contact billing shipping enduser member individual guest subscriber payer "
    "employee patient".split()
)
_OF_A_QUERY: Final = {"name": "name", "user": "name", "login": "name", "city": "address"} | dict.fromkeys(
    ("q", "query", "search", "s"), "text"
)

_HARMLESS: Final = frozenset(
    "server.address network.local.address destination.address host.ip net.host.ip net.sock.host.addr session.id db.user".split()
)
"""Names that read like a person's and are none: machines, and the opaque `session.id` of the semantic conventions."""


@lru_cache(maxsize=4096)
def kind_of(key: str) -> str:
    """Return the kind of personal data or secret that *key* names: `email`, `phone`, `name`, ...; empty for none."""
    if key in _HARMLESS or key.startswith("["):  # what was masked says nothing any more
        return ""
    words = _words(key)
    if not words:
        return ""
    for count in (4, 3, 2, 1):
        found = ENDS.get(" ".join(words[-count:])) if len(words) >= count else None
        if found is not None:
            return found
    if words[-1] == "name" and not _PEOPLE.isdisjoint(words[-3:-1]):
        return "name"
    return "secret" if not _ANYWHERE.isdisjoint(words) and words[-1] not in ("type", "name", "count") else ""


@lru_cache(maxsize=4096)
def kind_of_parameter(key: str) -> str:
    """Return the same for a parameter of a URL, where a bare `name` or `q` is what a person typed."""
    words = _words(key)
    return kind_of(key) or (_OF_A_QUERY.get(words[-1], "") if words else "")


def _words(key: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(_BRACKETS.sub(".", key[-_LONGEST:]))]
