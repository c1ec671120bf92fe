# SPDX-License-Identifier: Apache-2.0
"""A database's URL: whatever shows it shows no password."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from otel_revenue._store_url import StoreUrl
from otel_revenue.config import Settings, load
from otel_revenue.runtime.plan import make_plan

LETTERS = st.characters(codec="ascii", categories=("L", "N", "P", "S"))


@given(st.text(LETTERS, min_size=6, max_size=30), st.booleans())
@example("a/b@c?d#e:f", False)
@example("@@@@@@", False)
def test_no_part_of_a_password_is_shown(secret: str, encoded: bool) -> None:
    """Percent-encoded or not, whatever is in it: text, repr, format and location hold nothing of what stands before the @."""
    password = f"hunter2{secret}hunter2"
    url = StoreUrl(f"postgresql://shop:{quote(password, safe='') if encoded else password}@db.internal:5432/revenue")
    shown = [str(url), repr(url), f"{url}", f"{url:>10}", f"{url!s} {url!r}", url.location]

    assert [] == [text for text in shown if "hunter2" in text]
    assert "postgresql://shop@db.internal:5432/revenue" == url.location
    assert password in url.secret or encoded


@pytest.mark.parametrize(
    ("text", "location", "has_password"),
    [
        ("postgresql://db/x", "postgresql://db/x", False),
        ("postgres://u@a:1,b:2/x?target_session_attrs=any", "postgresql://u@a:1,b:2/x", False),
        ("postgresql:///x?host=/run/postgresql&password=hunter2", "postgresql:///x", True),
        ("postgresql://u:hunter2@/x", "postgresql://u@/x", True),
        ("postgresql://db/x?sslmode=require&sslpassword=hunter2", "postgresql://db/x", True),
        ("postgresql://", "postgresql://", False),
    ],
)
def test_where_a_url_leads(text: str, location: str, has_password: bool) -> None:
    """User, hosts and database are shown, options are not; a password is seen wherever libpq takes one from."""
    url = StoreUrl(text)

    assert (location, has_password, text) == (url.location, url.has_password, url.secret)


def test_settings_and_plan_show_no_password() -> None:
    """Settings and plan can be logged."""
    settings, problems = load({"OTEL_REVENUE_STORE": "postgresql://shop:hunter2@db/x"})
    plan = make_plan(settings, {}, None)

    assert [] == problems
    assert "hunter2" not in f"{settings!r} {settings} {plan!r} {plan.summary}"
    assert plan.database is not None
    assert ("postgresql://shop:hunter2@db/x", None) == (plan.database.secret, plan.ledger)


def test_what_waits_on_this_host_has_a_folder(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """Beside a database the spool is in the default folder of the service, or where OTEL_REVENUE_SPOOL says; beside a file there."""
    environ = {"XDG_STATE_HOME": str(tmp_path), "OTEL_SERVICE_NAME": "shop"}
    url = StoreUrl("postgresql://db/x")
    plans = [
        make_plan(Settings(store=url), environ, None),
        make_plan(Settings(store=url, spool="/var/spool/revenue"), environ, None),
        make_plan(Settings(store="/var/lib/revenue", spool="/var/spool/revenue"), environ, None),
    ]

    assert [str(tmp_path / "otel-revenue" / "shop"), "/var/spool/revenue", "/var/spool/revenue"] == [
        str(plan.folder) for plan in plans
    ]
    assert "/var/lib/revenue/ledger.sqlite3" == str(plans[2].ledger)
