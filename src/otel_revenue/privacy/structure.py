# SPDX-License-Identifier: Apache-2.0
"""
Data inside of text: parameters of URLs, header lines, and members of objects that were printed as JSON or by `repr`.

A detector knows the form of an address, none knows a name. Where text holds data, its names tell what is a person's. An object
inside of text is data, not telemetry: of its members those stay that are known to be harmless, or whose value is an id by its
form; everything else is masked. Each pattern is bounded and scanned once: linear on any text.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from . import plain
from .keys import kind_of, kind_of_parameter

if TYPE_CHECKING:
    from collections.abc import Callable

    Count = Callable[[str], None]

_PARAMETER: Final = re.compile(
    r"(?<![A-Za-z0-9_.\-\[\]%])([A-Za-z_][A-Za-z0-9_.\-\[\]%]{0,127})=([^\s&;,\"'<>\\]{1,65536})"
)
_HEADER: Final = re.compile(
    r"(?i)(?<![A-Za-z0-9_-])((?:proxy-)?authorization|(?:set-)?cookie|stripe-signature|x-(?:[a-z0-9]{1,20}-){0,4}(?:token|key|secret|signature)"
    r"|passw(?:or)?d|passphrase)(['\"]?\s{0,8}[:=]\s{0,8})([^\r\n]{1,65536})"
)
# "key": or 'key': of JSON and repr, also inside of a string that was escaped itself; ('key', of pairs; key='...' of a call; and
# key = '...' of a setting, which is also how code and SQL are written: there the name decides.
_MEMBER: Final = re.compile(
    r"(?P<escape>\\{0,7})(?P<quote>[\"'])(?P<key>[A-Za-z_$@][A-Za-z0-9_.$@ -]{0,63})(?P=escape)(?P=quote)"
    r"\s{0,8}(?::|=>|=)(?:\s|\\{1,8}[rnt]){0,64}"
    r"|\((?P<escape2>\\{0,7})(?P<quote2>[\"'])(?P<first>[A-Za-z_$@][A-Za-z0-9_.$@ -]{0,63})(?P=escape2)(?P=quote2), "
    r"|(?<![A-Za-z0-9_])(?P<name>[A-Za-z_][A-Za-z0-9_]{0,63})=(?=[bru]{0,2}[\"'])"
    r"|(?<![A-Za-z0-9_])(?P<set>[A-Za-z_][A-Za-z0-9_]{0,63})(?: =|= | = )(?=[bru]{0,2}[\"'])"
)
_STRING: Final = re.compile(r"[bru]{0,2}(\\{0,7})([\"'])")
_GAP: Final = re.compile(r"(?:[ \t\r\n,]|\\{1,8}[rnt])*")
_BARE: Final = re.compile(r"[^\s,}\])]{1,256}")

SAFE: Final = frozenset(
    "id object type kind status state currency country livemode created event event_name level severity severity_text logger method route "
    "scheme protocol code decline_code error_code payment_status mode brand funding network reason api_version version timestamp time ts "
    "date datetime created_at updated_at sku skus tier surface order_id journey_id event_id design_id trace_id span_id request_id interval "
    "billing_reason locale lang language module filename funcname lineno thread process service environment host port path "
    "content_type encoding unit bucket region zone".split()
)
"""Members of an object whose text stays, searched like all text."""


def mask_headers(text: str, count: Count) -> str:
    """Mask the rest of lines that begin like a header with a credential."""

    def mask(match: re.Match[str]) -> str:
        count("secret")
        return f"{match[1]}{match[2]}[secret]"

    return _HEADER.sub(mask, text)


def mask_parameters(text: str, count: Count) -> str:
    """Mask values of `name=value`, in URLs, forms and log lines, where the name is a person's or a secret's."""

    def mask(match: re.Match[str]) -> str:
        before = text[match.start() - 1 : match.start()]
        kind = (kind_of_parameter if before in ("?", "&", ";", "") else kind_of)(match[1])
        if not kind or match[2].startswith("[") or plain.is_stripe_id(match[2]):
            return match.group()
        count(kind)
        return f"{match[1]}=[{kind}]"

    return _PARAMETER.sub(mask, text)


def mask_members(text: str, count: Count) -> str:
    """Mask what stands under a name in an object that was printed, unless name or value is known to be harmless."""
    parts: list[str] = []
    rest = at = 0
    while (member := _MEMBER.search(text, at)) is not None:
        at = member.end()
        key = member["key"] or member["first"] or member["name"] or member["set"]
        if member["set"] and not kind_of(key):
            continue
        for start, end in _values(text, at, alone=bool(kind_of(key))):
            kind = kind_of_member(key, text[start:end])
            if kind:
                count(kind)
                parts += [text[rest:start], f"[{kind}]"]
                at = rest = end  # what stays may hold another object, printed twice
    return "".join([*parts, text[rest:]]) if parts else text


def kind_of_member(key: str, value: str) -> str:
    """Return what the text *value* under *key* of an object is masked as; empty where it stays."""
    if (
        not value or value.startswith("[") or plain.is_stripe_id(value)
    ):  # masked already, or an id that says nothing by itself
        return ""
    return kind_of(key) or ("" if key.lower() in SAFE or plain.is_identifier(value) else "text")


def _values(text: str, at: int, *, alone: bool) -> list[tuple[int, int]]:
    """Return where the texts of a member's value are: one string, those of a list, or one bare word where *alone*."""
    if text.startswith("[", at):
        spans: list[tuple[int, int]] = []
        at = _after_gap(text, at + 1)
        while (found := _string(text, at)) is not None:
            start, end, at = found
            spans.append((start, end))
            at = _after_gap(text, at)
        return spans
    found = _string(text, at)
    if found is not None:
        return [found[:2]]
    bare = _BARE.match(text, at) if alone and text[at : at + 1] not in "{[(" else None
    return [] if bare is None or bare.group() in ("null", "None", "true", "false", "True", "False") else [bare.span()]


def _after_gap(text: str, at: int) -> int:
    gap = _GAP.match(text, at)
    return at if gap is None else gap.end()


def _string(text: str, at: int) -> tuple[int, int, int] | None:
    """Return start and end of the content of the string at *at*, and where the text goes on; one that never ends goes to the end."""
    opened = _STRING.match(text, at)
    if opened is None:
        return None
    closing = opened[1] + opened[2]
    start = opened.end()
    end = text.find(closing, start)
    while end > 0 and _escaped(text, end, len(opened[1])):
        end = text.find(closing, end + 1)
    return (start, len(text), len(text)) if end < 0 else (start, end, end + len(closing))


def _escaped(text: str, at: int, depth: int) -> bool:
    """Whether the quote at *at* belongs to the content: it has more backslashes before it than the string was opened with."""
    if depth:
        return text[at - 1 : at] == "\\"
    slashes = 0
    while slashes < at and slashes < 64 and text[at - slashes - 1] == "\\":
        slashes += 1
    return slashes % 2 == 1
