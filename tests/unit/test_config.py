# SPDX-License-Identifier: Apache-2.0
"""Settings: what is accepted, what is refused and in which words, and which source wins."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_revenue import config
from otel_revenue._parsers import SigningKey
from otel_revenue._store_url import StoreUrl
from otel_revenue.config import KEYS, Settings, checked, default_folder, load
from otel_revenue.errors import ConfigError

SECONDS = {"good": [("0", 0.0), ("1.5", 1.5), ("60", 60.0)], "bad": ["soon", "-1", "", "nan", "inf", "1e9", "1s"]}
SIZES = {
    "good": [("1048576", 1024**2), ("1MiB", 1024**2), ("2 GiB", 2 * 1024**3), ("4096KiB", 4 * 1024**2)],
    "bad": ["1", "1MB", "1TiB", "-1MiB", "a lot", "1.5GiB", "9999999999999999999GiB", "٣MiB"],
}
FLAGS = {
    "good": [("true", True), ("TRUE", True), ("1", True), ("false", False), ("0", False)],
    "bad": ["yes", "on", "2", "truthy"],
}
ATTRIBUTE_KEYS = {"good": [("a.b, c.*,a.b", ("a.b", "c.*")), ("*", ("*",))], "bad": ["a.*.b", "a b", ",", "**"]}
VALUES = {
    "store": {
        "good": [("/var/lib/x", "/var/lib/x"), ("~/x", "~/x"), ("sqlite:///x.db", "sqlite:///x.db"), (":memory:", ":memory:"),
            ("postgresql://u:hunter2@db/x", StoreUrl("postgresql://u:hunter2@db/x")),
            ("postgres://u@db/x?sslmode=require", StoreUrl("postgres://u@db/x?sslmode=require"))],
        "bad": ["mysql://u:hunter2@db/x", "sqlite:///", "http://x", "sqlite://x", "postgresql://u@db/x y"],
    },
    "spool": {"good": [("/var/lib/x", "/var/lib/x"), ("~/x", "~/x")], "bad": ["file:///x", ":memory:"]},
    "store_busy": {"good": [("0.25", 0.25), ("5", 5.0), ("0.01", 0.01)], "bad": ["0", "6", "fast", "nan"]},
    "store_max_bytes": SIZES,
    "spool_max_bytes": SIZES,
    "spool_sync": FLAGS,
    "retention": {
        "good": [("400d", 400 * 86400), ("36h", 36 * 3600), ("90m", 5400), ("10s", 10)],
        "bad": ["400", "0d", "-1d", "1y", "forever", "1.5d", "99999999d", "٤d"],
    },
    "hold": {"good": [*SECONDS["good"], ("3600", 3600.0)], "bad": [*SECONDS["bad"][:-2], "3601"]},
    "enrich_hold": {"good": SECONDS["good"], "bad": [*SECONDS["bad"], "3601"]},
    "emit_zero": FLAGS,
    "metadata_injection": FLAGS,
    "stripe_lookup": FLAGS,
    "stripe_lookup_rate": {"good": [("0.1", 0.1), ("2", 2.0), ("50", 50.0)], "bad": ["0", "51", "-1", "fast", "nan"]},
    "stripe_lookup_hold": {"good": SECONDS["good"], "bad": [*SECONDS["bad"], "61"]},
    "order_id_from": {
        "good": [
            ("metadata.order_id", ("metadata.order_id",)),
            (" bind , session.id ", ("bind", "session.id")),
            ("session.id,session.id,invoice.id", ("session.id", "invoice.id")),
            ("metadata.Order No,client_reference_id,payment_intent.id", ("metadata.Order No", "client_reference_id", "payment_intent.id")),
        ],
        "bad": ["customer_email", "metadata.", "metadata", ",", "session", "metadata." + "x" * 41, "metadata.a[b]"],
    },
    "tier_from": {
        "good": [("price.lookup_key,product.metadata.tier", ("price.lookup_key", "product.metadata.tier"))],
        "bad": ["session.id", "price", "line.description"],
    },
    "country_from": {
        "good": [("session.billing,card_issuer,metadata.country", ("session.billing", "card_issuer", "metadata.country"))],
        "bad": ["ip", "session.country", "charge.shipping"],
    },
    "sku_from": {
        "good": [("line.metadata.sku,price.id,product.id", ("line.metadata.sku", "price.id", "product.id"))],
        "bad": ["bind", "metadata.sku", "line.description"],
    },
    "surface_from": {"good": [("utm, referrer,utm", ("utm", "referrer"))], "bad": ["click", "utm;route", ","]},
    "stages": {"good": [("[]", ()), ('[{"route": "GET /x"}]', ({"route": "GET /x"},))], "bad": ["GET /x", "{}", "[1]", "5", "[{]"]},
    "events": {"good": [('[{"name": "a.b"}]', ({"name": "a.b"},))], "bad": ["a.b", '{"name": "a.b"}', '["a.b"]']},
    "event_signal": {"good": [("logs/dup", "logs/dup"), ("LOGS", "logs"), ("spans", "spans")], "bad": ["both", "log", "metrics"]},
    "delivery": {"good": [("auto", "auto"), ("Durable", "durable"), ("sdk", "sdk")], "bad": ["otlp", "none", "memory"]},
    "privacy": {"good": [("Strict", "strict"), ("off", "off")], "bad": ["on", "mask", "true"]},
    "privacy_keep": ATTRIBUTE_KEYS,
    "privacy_drop": ATTRIBUTE_KEYS,
    "privacy_mask": ATTRIBUTE_KEYS,
    "privacy_hash": ATTRIBUTE_KEYS,
    "privacy_hash_keys": {
        "good": [("new:0123456789abcdef, old:fedcba9876543210", (SigningKey("new", "0123456789abcdef"), SigningKey("old", "fedcba9876543210")))],
        "bad": ["hunter2hunter2hunter2", "k:hunter2", ":hunter2hunter2hunter2", "a b:hunter2hunter2hunter2", "k:hunter2hunter2hunter2,"],
    },
    "linger": {"good": SECONDS["good"], "bad": SECONDS["bad"]},
    "browser_origins": {
        "good": [
            ("https://Shop.example , http://127.0.0.1:8000/", ("https://shop.example", "http://127.0.0.1:8000")),
            ("http://[::1]:80", ("http://[::1]:80",)),
        ],
        "bad": ["*", "shop.example", "https://shop.example/path", "null", "ftp://shop.example", "https://a b"],
    },
    "browser_rate": {"good": [("1", 1.0), ("60", 60.0), ("6000", 6000.0)], "bad": ["0", "6001", "-1", "many", "nan"]},
    "browser_client_header": {"good": [("X-Forwarded-For", "x-forwarded-for")], "bad": ["x forwarded", "a:b", "ä", "x" * 65]},
    "flush_timeout": {"good": SECONDS["good"], "bad": [*SECONDS["bad"], "61"]},
}  # fmt: skip
GOOD = [(key, text, value) for key, cases in VALUES.items() for text, value in cases["good"]]
BAD = [(key, text) for key, cases in VALUES.items() for text in cases["bad"] if text]


def variable(key: str) -> str:
    return KEYS[key].metadata["env"]


@pytest.fixture
def yaml(tmp_path):
    """Return a function that writes a settings file and gives its path."""

    def write(text: str | bytes) -> Path:
        path = tmp_path / "otel-revenue.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Every test runs where no settings file lies."""
    folder = tmp_path / "cwd"
    folder.mkdir()
    monkeypatch.chdir(folder)


def test_every_setting_has_good_and_bad_values_here():
    """
    No setting without examples of what it takes and what it refuses.
    """
    assert sorted(KEYS) == sorted(key for key, cases in VALUES.items() if cases["good"] and cases["bad"])


@pytest.mark.parametrize(("key", "text", "value"), GOOD)
def test_a_good_value_is_taken(key, text, value):
    """
    A value of the documented shape is taken, from the environment as from an argument.
    """
    from_environ = load({variable(key): text})
    from_argument = load({}, {key: text})

    assert ((value, []), (value, [])) == (
        (getattr(from_environ[0], key), from_environ[1]),
        (getattr(from_argument[0], key), from_argument[1]),
    )


@pytest.mark.parametrize(("key", "text"), BAD)
def test_a_bad_value_is_named_with_shape_and_remedy(key, text):
    """
    A value of another shape leaves the default, and is one problem that names the key, the shape and an example.
    """
    settings, problems = load({variable(key): text})
    meta = KEYS[key].metadata

    assert (getattr(Settings(), key), 1, True, True, True) == (
        getattr(settings, key),
        len(problems),
        problems[0].startswith(meta["env"]),
        f"expected {meta['shape']}" in problems[0],
        f"for example {meta['example']}" in problems[0],
    )


@pytest.mark.parametrize(("key", "text"), [(k, t) for k, t in BAD if k not in ("store", "privacy_hash_keys")])
def test_the_value_is_shown_where_it_is_no_secret(key, text):
    """
    Whoever reads the problem sees what was set, up to 40 characters.
    """
    assert f'="{text[:40]}' in load({variable(key): text})[1][0]


@pytest.mark.parametrize("source", ["environ", "argument", "file"])
def test_a_store_s_url_is_never_shown(source, yaml):
    """
    A URL may hold a password: neither it nor any part of it is in the problem's text.
    """
    url = "mysql://shop:hunter2@db.internal/revenue"
    _, problems = load(
        {variable("store"): url} if source == "environ" else {},
        {"store": url} if source == "argument" else {},
        file=yaml(f"store: {url}") if source == "file" else None,
    )

    assert (1, []) == (
        len(problems),
        [part for part in ("hunter2", "db.internal", "mysql") if part in problems[0]],
    )


@pytest.mark.parametrize("key", KEYS)
def test_the_documented_example_is_good(key):
    """
    The example in the error text and in the docs is accepted.
    """
    assert [] == load({variable(key): KEYS[key].metadata["example"]})[1]


def test_one_word_says_what_is_wrong():
    """
    The whole text of one problem, as a reader sees it.
    """
    assert [
        'OTEL_REVENUE_HOLD="soon": expected seconds from 0 to 3600, for example 90; going on with its default'
    ] == load({"OTEL_REVENUE_HOLD": "soon"})[1]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("OTEL_REVENUE_HOLDD", "; did you mean OTEL_REVENUE_HOLD?"),
        ("OTEL_REVENUE_RETENTON", "; did you mean OTEL_REVENUE_RETENTION?"),
        ("OTEL_REVENUE_EVENT_SIGNALS", "; did you mean OTEL_REVENUE_EVENT_SIGNAL?"),
        ("OTEL_REVENUE_XYZZY", ""),
    ],
)
def test_an_unknown_variable_names_the_nearest(name, hint):
    """
    A variable with our prefix that is no setting is a problem, with the nearest name; its value is not shown.
    """
    assert [f"{name}: there is no such setting{hint}"] == load({name: "s3cret"})[1]


def test_other_people_s_variables_are_not_ours():
    """
    Variables without our prefix, and those of our own test-suite, are no problem.
    """
    environ = {"OTEL_SERVICE_NAME": "x", "OTEL_REVENUE_TEST_STRIPE_CLI": "y", "REVENUE": "z", "OTEL_REVENUE_CONFIG": ""}

    assert (Settings(), []) == load(environ)


@pytest.mark.parametrize(
    ("key", "hint"),
    [("holdd", "; did you mean hold?"), ("OTEL_REVENUE_HOLD", "; did you mean hold?"), ("xyzzy", "")],
)
def test_an_unknown_key_names_the_nearest(key, hint, yaml):
    """
    A key of the file, or an argument, that is no setting is a problem, with the nearest name.
    """
    assert (
        [f"{key} in otel-revenue.yaml: there is no such setting{hint}"],
        [f"argument {key}: there is no such setting{hint}"],
    ) == (
        load({}, file=yaml(f"{key}: 90"))[1],
        load({}, {key: 90})[1],
    )


def test_argument_before_environment_before_file_before_default(yaml):
    """
    Of several sources the first in this order wins: argument, environment, file, default.
    """
    file = yaml("hold: 1\nenrich_hold: 1\nlinger: 1\n")
    environ = {variable("hold"): "2", variable("enrich_hold"): "2"}
    settings, problems = load(environ, {"hold": 3}, file=file)

    assert (3.0, 2.0, 1.0, 5.0, []) == (
        settings.hold,
        settings.enrich_hold,
        settings.linger,
        settings.flush_timeout,
        problems,
    )


def test_a_wrong_value_leaves_the_next_source_s(yaml):
    """
    Where an argument is wrong the variable holds, and the problem says with what it goes on.
    """
    settings, problems = load({variable("hold"): "7"}, {"hold": "soon"}, file=yaml("hold: 1"))

    assert (7.0, "going on with 7.0") == (settings.hold, problems[0].rpartition("; ")[2])


def test_the_file_takes_yaml_s_own_types(yaml):
    """
    Numbers, truth values, lists and text of YAML mean what their writing in a variable means.
    """
    settings, problems = load({}, file=yaml(
        "hold: 30\nemit_zero: yes\nmetadata_injection: false\norder_id_from: [bind, metadata.order_id]\n"
        "tier_from: metadata.tier,price.id\nretention: 30d\nstore_max_bytes: 2097152\nstore:\n"
    ))  # fmt: skip

    assert (Settings(
        hold=30.0, emit_zero=True, metadata_injection=False, order_id_from=("bind", "metadata.order_id"),
        tier_from=("metadata.tier", "price.id"), retention=30 * 86400, store_max_bytes=2097152,
    ), []) == (settings, problems)  # fmt: skip


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("hold: [1, 2]", "hold in otel-revenue.yaml"),
        ("hold: {a: 1}", "hold in otel-revenue.yaml"),
        ("store: {a: 1}", "store in otel-revenue.yaml"),
        ("store: [a, b]", "store in otel-revenue.yaml"),
        ("store: 2026-11-24", "store in otel-revenue.yaml"),
        ("order_id_from: [{a: 1}]", "order_id_from in otel-revenue.yaml"),
        ("order_id_from: ['bind,session.id']", "order_id_from in otel-revenue.yaml"),
        ("hold: 1" + "0" * 50, "hold in otel-revenue.yaml"),
        ("hold: 1" + "0" * 5000, "not readable as YAML"),
        ("- hold", "expected keys and values"),
        ("hold", "expected keys and values"),
        ("1: 2", "expected keys and values"),
        ("hold: [", "not readable as YAML"),
        ("hold: 2026-13-45", "not readable as YAML"),
        ("!!python/object/apply:os.system [id]", "not readable as YAML"),
        ("[" * 5000, "not readable as YAML"),
        (b"\xff\xfe\x00", "not readable as YAML"),
        (b"hold: \x00", "not readable as YAML"),
    ],
    ids=range(18),
)
def test_a_file_that_makes_no_sense_is_one_problem(content, word, yaml):
    """
    Whatever is in the file, there is one problem that says what was expected, and the defaults hold.
    """
    settings, problems = load({}, file=yaml(content))

    assert (Settings(), 1, True) == (settings, len(problems), word in problems[0])


def test_a_file_of_references_to_references_is_refused_before_it_grows(yaml):
    """
    A file that would unfold to billions of items is refused by its type, without unfolding it.
    """
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
    settings, problems = load({}, file=yaml("\n".join([*lines, "order_id_from: *a29", "hold: *a29"])))

    assert (Settings(), True) == (settings, any("hold in" in p and "<list>" in p for p in problems))


def test_an_empty_file_is_fine(yaml):
    """
    A file of comments alone sets nothing.
    """
    assert (Settings(), []) == load({}, file=yaml("# nothing\n"))


def test_the_file_is_found_by_variable_and_in_the_working_folder(yaml, monkeypatch):
    """
    `OTEL_REVENUE_CONFIG` names the file; without it `otel-revenue.yaml` of the working folder is read.
    """
    path = yaml("hold: 4")
    by_name = load({"OTEL_REVENUE_CONFIG": str(path)})[0].hold
    monkeypatch.chdir(path.parent)

    assert (4.0, 4.0) == (by_name, load({})[0].hold)


def test_a_named_file_that_is_not_there_is_a_problem(tmp_path):
    """
    Somebody who names a file that does not exist is told; a missing default file is nothing to tell.
    """
    assert ([f"OTEL_REVENUE_CONFIG: there is no file {tmp_path}/x.yaml"], []) == (
        load({"OTEL_REVENUE_CONFIG": f"{tmp_path}/x.yaml"})[1],
        load({})[1],
    )


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "/proc/self/mem/x"])
def test_an_impossible_file_name_is_a_problem(name):
    """
    A name that the system refuses is told, not raised.
    """
    assert (Settings(), 1) == (load({"OTEL_REVENUE_CONFIG": name})[0], len(load({"OTEL_REVENUE_CONFIG": name})[1]))


def test_without_pyyaml_the_remedy_is_named(yaml, monkeypatch):
    """
    Where PyYAML is missing, the problem holds the line that installs it.
    """
    monkeypatch.setitem(__import__("sys").modules, "yaml", None)

    assert ['pip install "otel-revenue[yaml]"'] == [p.partition(": ")[2] for p in load({}, file=yaml("hold: 4"))[1]]


@pytest.mark.parametrize(
    ("key", "raw", "value"),
    [
        ("hold", 12, 12.0),
        ("hold", None, 90.0),
        ("emit_zero", True, True),
        ("store", Path("/tmp/x"), "/tmp/x"),
        ("order_id_from", ["bind"], ("bind",)),
        ("order_id_from", ("bind", "session.id"), ("bind", "session.id")),
    ],
)
def test_arguments_may_have_their_own_types(key, raw, value):
    """
    In code a number, a truth value, a path or a list of names is given as such; None is not given.
    """
    settings, problems = load({}, {key: raw})

    assert (value, []) == (getattr(settings, key), problems)


@pytest.mark.parametrize(
    "raw", [object(), b"x", {"a": 1}, 10**5000, ["bind", object()], float("nan"), "\0" * 300, "\ud800"], ids=range(8)
)
@pytest.mark.parametrize("key", KEYS)
def test_no_argument_raises(key, raw):
    """
    Whatever an argument is, the settings are read, with the default or the value, and the text fits a log line.
    """
    settings, problems = load({}, {key: raw})

    assert (True, []) == (
        isinstance(settings, Settings),
        [p for p in problems if "\n" in p or "\0" in p or len(p) > 700],
    )


@given(st.dictionaries(st.sampled_from([f.metadata["env"] for f in KEYS.values()]), st.text(max_size=60)))
def test_no_environment_raises(environ):
    """
    Whatever the variables hold, settings are read, with at most one problem for each.
    """
    settings, problems = load(environ)

    assert (True, True) == (isinstance(settings, Settings), len(problems) <= len(environ))


def test_checked_names_all_problems_at_once():
    """
    The strict reading refuses, and names everything that is wrong in one text.
    """
    with pytest.raises(ConfigError) as refusal:
        checked({"OTEL_REVENUE_HOLD": "soon", "OTEL_REVENUE_LINGER": "x", "OTEL_REVENUE_XYZZY": "1"})

    assert 3 == len(str(refusal.value).splitlines())


def test_settings_are_frozen():
    """
    What was read at start cannot change while the application runs.
    """
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().hold = 1.0  # type: ignore[misc]


@pytest.mark.parametrize("key", KEYS)
def test_variables_and_keys_have_one_name(key):
    """
    The key of the file is the variable's name without prefix, in lower case.
    """
    assert f"{config.PREFIX}{key.upper()}" == variable(key)


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("shop", "shop"),
        ("my shop/eu", "my_shop_eu"),
        ("../../etc", ".._.._etc"),
        ("..", "unknown_service"),
        ("", "unknown_service"),
        ("ü" * 200, "_" * 80),
    ],
)
def test_the_default_folder_stays_in_the_state_folder(name, folder):
    """
    Whatever a service is called, its folder is one below the user's state folder.
    """
    root = Path("/home/u/.local/state/otel-revenue")

    assert (root / folder, Path("/var/s/otel-revenue") / folder) == (
        default_folder(name, {"HOME": "/home/u"}),
        default_folder(name, {"HOME": "/home/u", "XDG_STATE_HOME": "/var/s"}),
    )


def test_a_relative_state_folder_is_ignored():
    """
    By the XDG specification a relative path is invalid and counts as not set.
    """
    assert Path("/home/u/.local/state/otel-revenue/x") == default_folder(
        "x", {"HOME": "/home/u", "XDG_STATE_HOME": "state"}
    )
