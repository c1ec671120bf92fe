"""A real Chromium, and visitors that use it. `make test` says where it is; CHROMIUM names another one."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

DRIVER = Path(__file__).with_name("browser_driver.mjs")
OF_PEOPLE = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/147.0.0.0 Safari/537.36"
DEBIANS = Path("/usr/bin/chromium")


def parts() -> Path:
    """The folder that `make browser` has filled; its name comes in OTEL_REVENUE_TEST_BROWSER."""
    named = os.environ.get("OTEL_REVENUE_TEST_BROWSER")
    if not named:
        pytest.skip("needs a browser: run by `make test`")
    return Path(named)


def node() -> str:
    """The path of node."""
    return (parts() / "node").read_text().strip()


def _chromium() -> str:
    named = os.environ.get("CHROMIUM") or (str(DEBIANS) if DEBIANS.exists() else "")
    return named or (parts() / "chromium").read_text().strip()


class Browser:
    """One browser process; open it once, and give each test visitors of its own."""

    def __enter__(self) -> Browser:
        self._numbers = itertools.count()
        self._process = subprocess.Popen(
            [node(), str(DRIVER), str(parts()), _chromium()], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.version = self._answer()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @contextlib.contextmanager
    def visitor(self, **options: Any) -> Iterator[Visitor]:
        """A visitor with a profile of its own; *options* are those of Playwright's `newContext`."""
        visitor = Visitor(self, next(self._numbers), {"userAgent": OF_PEOPLE, **options})
        try:
            yield visitor
        finally:
            visitor.do("await context.close()")

    def run(self, **question: Any) -> Any:
        """Run one piece of code; see the driver."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        answer = json.loads(self._process.stdout.readline() or '{"error": "the browser has ended"}')
        if "error" in answer:
            raise AssertionError(answer["error"])
        return answer.get("value")


@dataclass
class Visitor:
    browser: Browser
    id: int
    options: dict[str, Any] = field(default_factory=dict)

    def do(self, code: str, /, **args: Any) -> Any:
        """Run JavaScript that drives the browser, with Playwright's `page` and `context` and with `args`; returns what it returns."""
        return self.browser.run(id=self.id, options=self.options, code=code, args=args)

    def goto(self, url: str) -> None:
        self.do("await page.goto(args.url, { waitUntil: 'load' })", url=url)

    def click_and_close(self, selector: str) -> None:
        """
        Click an element, and close the tab before anything that the click began has ended.

        The browser is told so itself: Playwright's own `page.close()` waits for ever where a navigation is under way.
        """
        self.do(
            "const { targetInfo } = await (await context.newCDPSession(page)).send('Target.getTargetInfo');"
            "const whole = await context.browser().newBrowserCDPSession();"
            "await page.evaluate((selector) => document.querySelector(selector).click(), args.selector).catch(() => {});"
            "await whole.send('Target.closeTarget', { targetId: targetInfo.targetId });",
            selector=selector,
        )

    def on_page(self, expression: str, /, **args: Any) -> Any:
        """Evaluate JavaScript in the page; what *args* holds is in `args`."""
        return self.do(
            "return page.evaluate(new Function('args', `return ${args.code}`), args.args)", code=expression, args=args
        )

    @property
    def errors(self) -> list[str]:
        """What the pages threw, or wrote to the console as errors."""
        return list(self.do("return errors"))
