# SPDX-License-Identifier: Apache-2.0
"""
The hooks on other releases of the stripe library than the installed one, and in fresh interpreters.

`OTEL_REVENUE_TEST_STRIPE_TARGETS` names folders, separated by colons, each filled by `pip install --target`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

TARGETS = [Path(target) for target in os.environ.get("OTEL_REVENUE_TEST_STRIPE_TARGETS", "").split(":") if target]
SUITE = Path(__file__).with_name("test_stripe_hooks.py")
PRELUDE = """
    import sys
    from otel_revenue import _guard
    from otel_revenue.instrumentation.stripe import hooks

    class Listener:
        heard = []
        def before_call(self, call): return None
        def after_call(self, call, answer): self.heard.append(call.url)
        def webhook(self, payload, *, verified): self.heard.append(verified)

    def patched():
        import stripe
        from stripe._api_requestor import _APIRequestor
        return [hasattr(f, "__wrapped__") for f in (
            _APIRequestor.request_raw, _APIRequestor.request_raw_async, stripe.WebhookSignature.verify_header)]
"""


def run(script: str, *, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run *script* in a fresh interpreter that has been told nothing by ours."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "STRIPE_", "PYTEST_"))}
    if path is not None:
        env["PYTHONPATH"] = os.pathsep.join([str(path), *filter(None, [env.get("PYTHONPATH")])])
    code = textwrap.dedent(PRELUDE) + textwrap.dedent(script)
    return subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_each_release_passes_the_whole_suite(target: Path) -> None:
    """What holds for the installed release holds for the others that we support."""
    done = run(
        f"""
        import pytest, stripe
        assert stripe.__file__.startswith({str(target)!r}), stripe.__file__
        sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", "-p", "no:xdist", {str(SUITE)!r}]))
        """,
        path=target,
    )

    assert 0 == done.returncode, done.stdout[-6000:] + done.stderr[-2000:]


def test_stripe_is_not_imported_by_us() -> None:
    """Setting the hooks costs no import of the library; it is patched when the application imports it."""
    done = run(
        """
        it = hooks.install(Listener())
        print("stripe" in sys.modules, end=" ")
        print(patched(), it.support.active)
        """
    )

    assert ("False [True, True, True] True\n", "") == (done.stdout, done.stderr)


def test_an_import_after_removal_stays_unpatched() -> None:
    """Hooks that were removed before the library came stay away; set again afterwards, they are set once."""
    done = run(
        """
        hooks.install(Listener()).remove()
        print(patched())
        it = hooks.install(Listener())
        from stripe._api_requestor import _APIRequestor
        print(patched(), hasattr(_APIRequestor.request_raw.__wrapped__, "__wrapped__"))
        """
    )

    assert "[False, False, False]\n[True, True, True] False\n" == done.stdout, done.stderr


def test_set_twice_before_the_import() -> None:
    """Hooks that were set, removed and set again before the library came are there once."""
    done = run(
        """
        hooks.install(Listener()).remove()
        hooks.install(Listener())
        hooks.install(Listener())
        print(patched(), hasattr(__import__("stripe")._api_requestor._APIRequestor.request_raw.__wrapped__, "__wrapped__"))
        """
    )

    assert "[True, True, True] False\n" == done.stdout, done.stderr


def test_a_failing_import_hook_harms_nobody() -> None:
    """Whatever breaks while we patch, the application's import goes through; one log line says so."""
    done = run(
        """
        def broken(*args): raise RuntimeError("jo@example.com")
        hooks.Hooks._patch = broken
        hooks.install(Listener())
        print(patched(), _guard.failures["stripe.import"])
        """
    )

    assert "[False, False, False] 2\n" == done.stdout, done.stderr
    assert "stripe.import failed (RuntimeError" in done.stderr
    assert "example.com" not in done.stderr


@pytest.mark.parametrize(
    ("files", "line"),
    [
        pytest.param(
            {"_version": "VERSION = '7.14.0'", "_api_requestor": "class APIRequestor: ...", "_webhook": ""},
            "otel-revenue: stripe 7.14.0 is too old (8.0 or newer is needed): otel-revenue stays dormant",
            id="too old",
        ),
        pytest.param(
            {"_version": "VERSION = '99.0.0'", "_api_requestor": "class Requestor: ...", "_webhook": "from . import x"},
            "otel-revenue: stripe 99.0.0 lacks _APIRequestor.request_raw (8.0 or newer is needed): "
            "otel-revenue does not observe what passes there",
            id="of another make",
        ),
    ],
)
def test_a_library_that_we_do_not_know_is_left_alone(files: dict[str, str], line: str, tmp_path: Path) -> None:
    """An older release, or one of another make, is imported as it is, and one line says why nothing is observed."""
    package = tmp_path / "stripe"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "x.py").write_text("")
    for name, text in files.items():
        (package / f"{name}.py").write_text(text)
    done = run(
        """
        it = hooks.install(Listener())
        import stripe._version, stripe._api_requestor, stripe._webhook
        print(it.support.active, it._patches)
        it.remove()
        """,
        path=tmp_path,
    )

    assert "False []\n" == done.stdout, done.stderr
    assert [line] == done.stderr.splitlines()
