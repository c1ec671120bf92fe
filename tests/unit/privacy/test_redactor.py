"""A policy, applied to values of any type and size."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_revenue._parsers import SigningKey
from otel_revenue.privacy import redactor as module
from otel_revenue.privacy.policy import OFF, STRICT, Policy, digest
from otel_revenue.privacy.redactor import MAX_SCANNED, Redactor

ADDRESS = "xanthippe@example.com"


def _redactor(**policy: Any) -> tuple[Redactor, Counter[str]]:
    counted: Counter[str] = Counter()

    def count(kind: str) -> None:
        counted[kind] += 1

    return Redactor(Policy(**policy), count), counted


@pytest.mark.parametrize(
    ("attributes", "masked"),
    [
        ({"user.email": "x"}, {"user.email": "[email]"}),
        ({"note": f"for {ADDRESS}"}, {"note": "for [email]"}),
        ({"note": b"for xanthippe@example.com"}, {"note": "for [email]"}),
        ({"blob": b"\xff\xfe"}, {"blob": "[bytes]"}),
        ({"list": ["a", ADDRESS]}, {"list": ["a", "[email]"]}),
        ({"map": {"name": "Xanthippe", "id": "cus_NffrFeUfNV2Hib"}}, {"map": {"name": "[text]", "id": "cus_NffrFeUfNV2Hib"}}),
        ({"map": {"phone": 4915112345678}}, {"map": {"phone": "[phone]"}}),
        ({"map": {ADDRESS: 1}}, {"map": {"[email]": 1}}),
        ({"card": 1}, {"card": 1}),
        ({"number": 4242424242424242}, {"number": "[card]"}),
        ({"url.full": "http://127.0.0.1/?email=a%40b.de"}, {"url.full": "http://127.0.0.1/?email=[email]"}),
        ({"db.query.text": "SELECT 1 WHERE n='Xanthippe''s'"}, {"db.query.text": "SELECT 1 WHERE n='?'"}),
        ({"db.query.parameter.0": "Xanthippe"}, {"db.query.parameter.0": "[text]"}),
        ({"exception.message": "Xanthippe"}, {"exception.message": "[message]"}),
        ({f"for {ADDRESS}": 1}, {"for [email]": 1}),
        ({"user.email": None, "consent.email": True}, {"user.email": None, "consent.email": True}),
    ],
)  # fmt: skip
def test_what_is_a_person_s_is_masked(attributes: dict[str, Any], masked: dict[str, Any]) -> None:
    """By default what looks like personal data or is named so is masked, whatever its type, in values and in keys."""
    found = _redactor()[0].attributes(attributes)

    assert masked == found


def test_what_is_clean_is_the_same_object() -> None:
    """Telemetry in which nothing is masked is not copied."""
    attributes = {
        "http.request.method": "GET", "http.route": "/orders/{id}", "server.address": "10.1.2.3", "service.version": "1.2.3.4",
        "order_id": "o-1", "amount_minor": 4242424242424242, "stripe.checkout.session.id": "cs_test_a1B2c3", "n": 1, "f": 0.5,
        "list": ["a", "b"], "map": {"id": "pi_3Nds82s1t6Uzpa2cY7Jk18RF", "n": 1}, "time": 1780000000000000000,
    }  # fmt: skip
    redactor, counted = _redactor(keep=["server.address"])
    found = redactor.attributes(attributes)

    assert found is attributes
    assert not counted


def test_strict_lets_out_what_is_known() -> None:
    """Under `strict` an attribute that is not of the conventions is left out, and what is left is searched all the same."""
    redactor, counted = _redactor(profile=STRICT)
    found = redactor.attributes(
        {"http.route": "/x", "url.path": "/x/1", "mine": "v", "host.name": ADDRESS, "tier": "pro"}
    )

    assert {"http.route": "/x", "host.name": "[email]", "tier": "pro"} == found
    assert {"unknown": 2, "email": 1} == counted
    assert redactor.body("anything") == "[masked]"


def test_off_changes_nothing() -> None:
    """Under `off` everything leaves as it is, but for what the shop's own rules name."""
    redactor, _ = _redactor(profile=OFF, drop=["internal.*"])
    found = redactor.attributes({"user.email": ADDRESS, "internal.note": "x"})

    assert {"user.email": ADDRESS} == found
    assert ADDRESS == redactor.text(ADDRESS)


def test_the_shop_s_rules_stand_above_the_profile() -> None:
    """Keep, drop, mask and hash apply to a key or to a beginning of keys; the longer one wins."""
    redactor, _ = _redactor(
        keep=["app.*", "app.user.email"], mask=["app.user.*"], drop=["secret.plan"], hashed=["enduser.id"],
        hash_keys=[SigningKey("2026", "a-secret-of-the-shop"), SigningKey("2025", "another")],
    )  # fmt: skip
    attributes = {
        "app.note": ADDRESS,
        "app.user.nick": "x",
        "app.user.email": ADDRESS,
        "secret.plan": 1,
        "enduser.id": "17",
    }
    found = redactor.attributes(attributes)

    assert {
        "app.note": ADDRESS,
        "app.user.nick": "[masked]",
        "app.user.email": ADDRESS,
        "enduser.id": digest(SigningKey("2026", "a-secret-of-the-shop"), "17"),
    } == found


def test_a_hash_says_nothing_without_its_key() -> None:
    """Equal values have equal hashes under one key and different ones under another; the secret is not in a `repr`."""
    old, new = SigningKey("k1", "secret-one"), SigningKey("k2", "secret-two")

    assert digest(old, "17") == digest(old, "17") != digest(old, "18")
    assert digest(old, "17")[8:] != digest(new, "17")[8:]
    assert "secret-one" not in repr(old)


def test_without_a_key_a_hash_is_a_mask() -> None:
    """A value that should be hashed does not leave where there is no key to hash it with."""
    found = _redactor(hashed=["enduser.id"])[0].attributes({"enduser.id": "17"})

    assert {"enduser.id": "[masked]"} == found


def test_a_detector_that_fails_passes_nothing_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a search fails the whole value is masked and counted, and nothing is raised into the application."""

    def broken(text: str, count: object) -> str:
        raise RecursionError(text)

    monkeypatch.setattr(module, "scan", broken)
    redactor, counted = _redactor()
    found = (
        redactor.attributes({"note": "Xanthippe", "n": 1}),
        redactor.text("Xanthippe"),
        redactor.body({"a": "Xanthippe"}),
    )

    assert "Xanthippe" not in str(found)
    assert counted["failed"] >= 3


def test_what_is_too_long_is_cut_before_an_address() -> None:
    """Of text beyond the limit nothing is left that may be the half of an address."""
    text = "a" * (MAX_SCANNED - 10) + " " + ADDRESS
    found = _redactor()[0].text(text)

    assert "xanthippe" not in found
    assert len(found) < MAX_SCANNED


def test_what_is_too_deep_is_masked() -> None:
    """An object that is nested without end is masked from some depth on, not followed."""
    deep: Any = "Xanthippe"
    for _ in range(100_000):
        deep = [deep]
    found = _redactor()[0].attributes({"deep": deep})

    assert "Xanthippe" not in str(found)


def test_many_keys_are_not_remembered_for_ever() -> None:
    """An application that makes keys out of data does not fill the memory, and its keys are masked to the last."""
    redactor, _ = _redactor()
    found = [redactor.attributes({f"{i}.{ADDRESS}": i}) for i in range(10_000)]

    assert not [key for attributes in found for key in attributes if "xanthippe" in key]
    assert len(redactor._judged) < 5_000


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.binary(max_size=30) | st.just(ADDRESS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8) | st.just(ADDRESS), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(
    st.dictionaries(st.text(max_size=12) | st.just(ADDRESS), _values, max_size=6),
    st.sampled_from(["revenue", "strict"]),
)
def test_an_address_is_found_anywhere(attributes: dict[str, Any], profile: str) -> None:
    """In whatever value of whatever type an address stands, it does not leave, and what was masked settles."""
    redactor, _ = _redactor(profile=profile)
    once = redactor.attributes(attributes)
    twice = redactor.attributes(once)  # a key that was masked, "[email]", may read like the name of an address

    assert "xanthippe@" not in repr(once).lower()
    assert repr(twice) == repr(redactor.attributes(twice))
