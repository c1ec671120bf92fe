"""The pure rooms of FakeStripe: forms, prices, summaries, test cards; and how it behaves without its extra."""

from __future__ import annotations

import random
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stripe._encode import _api_encode

from otel_revenue.testing import Buyer
from otel_revenue.testing.fake_stripe import legacy
from otel_revenue.testing.fake_stripe.books import Booked
from otel_revenue.testing.fake_stripe.buyer import AT_ONCE, DELAYED, instrument
from otel_revenue.testing.fake_stripe.deliveries import Delivery
from otel_revenue.testing.fake_stripe.failure import DECLINE_CODES, StripeFailure
from otel_revenue.testing.fake_stripe.forms import decode
from otel_revenue.testing.fake_stripe.pricing import Line, presented, priced
from otel_revenue.testing.fake_stripe.summary import Sum, Traffic, sums, traffic
from otel_revenue.testing.fake_stripe.world import Scope, World

TEXT = st.text(st.characters(blacklist_categories=["Cs"]), max_size=20)
NAME = st.from_regex(r"\A[a-z_]{1,12}\Z")
PARAMS = st.dictionaries(
    NAME,
    st.recursive(
        TEXT,
        lambda inner: st.one_of(
            st.dictionaries(NAME, inner, min_size=1, max_size=3), st.lists(inner, min_size=1, max_size=3)
        ),
        max_leaves=6,
    ),
    max_size=5,
)


def encoded(params: dict[str, Any]) -> str:
    """As the real library encodes."""
    from urllib.parse import urlencode

    return urlencode(list(_api_encode(params)))


@given(PARAMS)
def test_what_the_library_encodes_is_decoded_to_the_same(params: dict[str, Any]) -> None:
    """
    Dicts, lists and texts of any kind come through Stripe's form encoding unchanged.
    """
    assert params == decode(encoded(params))


@given(st.text(max_size=200))
def test_no_text_breaks_the_decoder(text: str) -> None:
    """
    Any text is decoded, or refused with Stripe's error.
    """
    try:
        found = decode(text)
    except (StripeFailure, ValueError):
        return

    assert isinstance(found, dict)


def scope() -> Scope:
    return Scope(
        World(
            rng=random.Random(1),
            clock=lambda: 1,
            api_version="2026-10-28.endive",
            livemode=False,
            shapes=legacy.shapes,
            dispatch=lambda _events: None,
        )
    )


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=20), st.integers(1, 10**10))
def test_a_discount_is_shared_out_to_the_last_cent(subtotals: list[int], off: int) -> None:
    """
    The lines' discounts add up to the whole one, none is below nothing, and none is more than its line.
    """
    lines = [Line(None, 1, subtotal) for subtotal in subtotals]
    world = scope()
    coupon = world.put({"id": "c", "object": "coupon", "amount_off": off})

    discounts = [line.discount for line in priced(world, lines, coupon)]
    assert min(off, sum(subtotals)) == sum(discounts)
    assert all(0 <= d <= s for d, s in zip(discounts, subtotals, strict=True))


@pytest.mark.parametrize(
    ("amount", "currency", "wanted", "expected"),
    [
        (4999, "eur", "jpy", (7998, "jpy")),
        (4999, "eur", "KWD", (16746, "kwd")),
        (8000, "jpy", "eur", (5000, "eur")),
        (4999, "eur", "eur", None),
        (4999, "eur", "xau", None),
    ],
)
def test_presentment_uses_the_buyers_own_exponent(
    amount: int, currency: str, wanted: str, expected: tuple[int, str] | None
) -> None:
    """
    Yen have no decimals, dinars three; the same or an unknown currency shows nothing.
    """
    shown = presented(amount, currency, wanted)

    assert expected == (shown and (shown["presentment_amount"], shown["presentment_currency"]))


def booked(amount: int, currency: str, *refunds: int) -> Booked:
    pairs = tuple((f"re_{i}", refund) for i, refund in enumerate(refunds))
    return Booked("pi_1", amount, currency, "one_off", None, {}, sum(refunds), pairs, "", 1, ("pi_1",), livemode=False)


def test_sums_keep_currencies_and_refunds_apart() -> None:
    """
    Nothing is added across currencies; refunds are counted beside what was paid.
    """
    rows = [booked(100, "usd"), booked(250, "eur", 50, 200), booked(7, "eur")]

    assert {"eur": Sum(2, 257, 2, 250), "usd": Sum(1, 100)} == sums(rows)
    assert {} == sums([])


def sent(event: str, *, endpoint: str = "a", status: int = 200, gave_up: bool = False) -> Delivery:
    return Delivery(event, "x", endpoint, 1, 1, status, "", gave_up)


@pytest.mark.parametrize(
    ("deliveries", "expected"),
    [
        pytest.param([], Traffic(0, 0, 0, 0, 0, 0), id="none"),
        pytest.param([sent("1"), sent("2"), sent("3")], Traffic(3, 3, 0, 0, 0, 0), id="in order"),
        pytest.param([sent("of another fake")], Traffic(1, 1, 0, 0, 0, 0), id="unknown"),
        pytest.param([sent("2"), sent("1"), sent("3")], Traffic(3, 3, 0, 1, 0, 0), id="one late"),
        pytest.param([sent("3"), sent("1"), sent("2")], Traffic(3, 3, 0, 2, 0, 0), id="two late"),
        pytest.param([sent("1"), sent("2"), sent("1")], Traffic(2, 3, 1, 0, 0, 0), id="a late copy is no late event"),
        pytest.param([sent("1", status=500), sent("2"), sent("1")], Traffic(2, 2, 0, 1, 1, 0), id="tried again"),
        pytest.param([sent("1", status=0, gave_up=True)], Traffic(0, 0, 0, 0, 1, 1), id="given up"),
        pytest.param([sent("2"), sent("1", endpoint="b")], Traffic(2, 2, 0, 0, 0, 0), id="endpoints for themselves"),
    ],
)
def test_traffic_is_counted(deliveries: list[Delivery], expected: Traffic) -> None:
    """
    Doubled, late, failed and given up, per endpoint.
    """
    assert expected == traffic(deliveries, ["1", "2", "3"])


@pytest.mark.parametrize("method", sorted(AT_ONCE | DELAYED))
def test_every_method_type_can_be_paid_with(method: str) -> None:
    """
    A method type stands for one that works; delayed ones settle later.
    """
    used = instrument(method)

    assert (method, method in DELAYED, "") == (used.type, used.delayed, used.decline)


@pytest.mark.parametrize("code", sorted(DECLINE_CODES))
def test_every_decline_code_can_be_asked_for(code: str) -> None:
    """
    Any method can be declined with any code.
    """
    assert code == instrument("card", code).decline


@pytest.mark.parametrize(
    ("method", "decline", "text"),
    [("seashells", "", "no such method: 'seashells'"), ("card", "dislike", "no such decline code: 'dislike'")],
)
def test_an_unknown_method_or_code_is_refused_with_the_known_ones(method: str, decline: str, text: str) -> None:
    """
    A ValueError that names what there is.
    """
    with pytest.raises(ValueError, match=text) as caught:
        instrument(method, decline)
    assert "known: " in str(caught.value)


def test_a_buyer_is_read_from_json_with_what_can_be_typed() -> None:
    """
    Known fields with printable text; anything else is refused by name.
    """
    assert Buyer(country="DE", line2=None) == Buyer.read({"country": "DE", "line2": None})
    for values in ({"shoe_size": "43"}, {"email": 1}, {"email": "a\x00"}, {"name": "\ud800"}):
        with pytest.raises(ValueError, match=next(iter(values))):
            Buyer.read(values)


WITHOUT = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {lacking!r}:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)
sys.meta_path.insert(0, Missing())
import otel_revenue.testing as testing
from otel_revenue.errors import MissingExtra
try:
    testing.FakeStripe
except MissingExtra as error:
    print(error)
"""


@pytest.mark.parametrize("lacking", ["starlette", "uvicorn"])
def test_without_the_extra_it_says_what_to_install(lacking: str) -> None:
    """
    The package imports; the first use is MissingExtra with the pip line.
    """
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT.format(lacking=lacking)], capture_output=True, text=True, check=False
    )

    expected = f'otel_revenue.testing needs {lacking}, which is not installed: pip install "otel-revenue[testing]"\n'
    assert (expected, "") == (ran.stdout, ran.stderr)


def test_the_fake_itself_imports_neither_stripe_nor_opentelemetry() -> None:
    """
    It answers any client, so it needs none; importing it does not wake anything up.
    """
    code = "import sys; from otel_revenue.testing import FakeStripe; print([m for m in ('stripe', 'opentelemetry.sdk') if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert ("[]\n", "") == (ran.stdout, ran.stderr)
