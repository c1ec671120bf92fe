"""Data inside of text."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_revenue.privacy.structure import mask_headers, mask_members, mask_parameters

CANARY = "Xanthippe"


def _all(text: str) -> str:
    kinds: list[str] = []
    return mask_headers(mask_parameters(mask_members(text, kinds.append), kinds.append), kinds.append)


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "Xanthippe"}',
        "{'name': 'Xanthippe', 'n': 1}",
        "{'name': \"Xanthippe's\"}",
        r'{"name": "say \"Xanthippe\" now"}',
        '{"tags": ["a", "Xanthippe"]}',
        '{"metadata": {"note": "Xanthippe"}}',
        r'{"event": "got {\"name\": \"Xanthippe\"}"}',
        r'{"event": "got {\"m\": \"{\\\"name\\\": \\\"Xanthippe\\\"}\"}"}',
        '{"name": "Xanthippe',
        "Customer(name='Xanthippe', n=3)",
        "1 validation error: input_value='Xanthippe', input_type=str",
        "{'name' => 'Xanthippe'}",
        '{"tags": [\n  "a",\n  "Xanthippe"\n]}',
        '{"error": {"message": "The card of Xanthippe was declined."}}',
        "OrderedDict([('code', 'declined'), ('name', 'Xanthippe')])",
        "{b'name': b'Xanthippe'}".replace("b'name'", "'name'"),
        "GET /pay?name=Xanthippe&page=2",
        "customer%5Bname%5D=Xanthippe&amount=100",
        "email=Xanthippe level=info",
        "Authorization: Token Xanthippe",
        "cookie: a=b; c=Xanthippe",
        '"phone": Xanthippe, "n": 1',
    ],
)
def test_a_value_under_a_person_s_name_goes(text: str) -> None:
    """However an object, a form or a header was printed, what a person wrote in it does not stay."""
    masked = _all(text)

    assert "Xanthippe" not in masked


@pytest.mark.parametrize(
    "text",
    [
        '{"id": "cus_NffrFeUfNV2Hib", "object": "customer", "livemode": false, "created": 1780000000}',
        '{"level": "info", "event": "worker started", "method": "GET", "path": "/orders/17"}',
        '{"charge": "ch_3Nds82s1t6Uzpa2cY7Jk18RF"}',
        "GET /orders?page=2&sort=price&session_id=cs_test_a1B2c3d4 200",
        "took=13ms status=200 worker name=worker-1",
        "it's five o'clock: \"fine\"",
        "a = b == c; x: y",
        "chose ['red', 'blue'] of (\"a\", 1)",
    ],
)
def test_what_is_nobody_s_stays(text: str) -> None:
    """Ids, states, times and the words of a log line come back as they were."""
    masked = _all(text)

    assert text == masked


_text = st.text(alphabet=st.characters(blacklist_categories=["Cs"]), max_size=20)


_object = st.recursive(_text, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3))


@given(st.dictionaries(_text, _object), st.booleans(), st.integers(0, 2))
def test_a_person_s_value_never_survives_its_printing(around: dict[str, object], as_repr: bool, times: int) -> None:
    """Whatever stands around it, and however often it was printed inside of other text, a name under `name` is masked."""
    text = repr({**around, "name": CANARY}) if as_repr else json.dumps({**around, "name": CANARY})
    for _ in range(times):
        text = json.dumps({"event": text})

    assert CANARY not in mask_members(text, lambda kind: None)


@given(st.text(max_size=300))
def test_any_text_is_taken(text: str) -> None:
    """No text makes it raise, and text without marks comes back as the same object."""
    masked = _all(text)

    assert isinstance(masked, str)
