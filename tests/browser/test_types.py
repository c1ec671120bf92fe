"""The types that ship with the module, as TypeScript's own compiler reads them."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING

from otel_revenue.browser import module
from support.browser import node, parts

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """
import { consent, journey, trackEvent, type BrowserEvents } from "./otel-revenue.js";
trackEvent("checkout.start", { tier: "pro", item_count: 2, skus: ["a-1"], order_id: "o-1" });
trackEvent("design.approved");
const attributes: BrowserEvents["design.started"] = { design_id: "d-1" };
trackEvent("design.started", attributes);
consent(true);
export const surface: string | undefined = journey()?.surface;
"""
WRONG = {
    "an amount": 'trackEvent("checkout.start", { amount: 1 });',
    "a payment": 'trackEvent("order.paid", {});',
    "another type": 'trackEvent("checkout.start", { item_count: "2" });',
    "another event's attribute": 'trackEvent("checkout.start", { design_id: "d-1" });',
    "no name": "trackEvent();",
    "a consent that is no yes or no": 'consent("yes");',
}


def compiled(folder: Path, code: str) -> str:
    """What the compiler says of a file; "" where it is content."""
    (folder / "page.ts").write_text(code)
    compiler = [node(), str(parts() / "node_modules" / "typescript" / "bin" / "tsc")]
    options = ["--noEmit", "--strict", "--target", "es2022", "--module", "nodenext", "--moduleResolution", "nodenext"]
    ran = subprocess.run([*compiler, *options, "page.ts"], cwd=folder, capture_output=True, text=True, check=False)
    return ran.stdout + ran.stderr


def test_types_hold_what_the_schema_says(tmp_path: Path) -> None:
    """What a browser may say compiles; each thing that it may not say is an error of the compiler's, on its own line."""
    for name in ("otel-revenue.js", "otel-revenue.d.ts"):
        shutil.copy(module.FILE.with_name(name), tmp_path)
    found = {
        what: compiled(tmp_path, GOOD + line).count(f"page.ts({len(GOOD.splitlines()) + 1},")
        for what, line in WRONG.items()
    }

    assert ("", dict.fromkeys(WRONG, 1)) == (compiled(tmp_path, GOOD), found)


def test_a_bundle_may_be_rendered_on_a_server() -> None:
    """Where there is no page, as in Node, the module loads, and its functions do nothing."""
    code = f"const ours = await import({json.dumps(module.FILE.as_uri())}); ours.trackEvent('design.started', {{}}); ours.consent(true);"
    code += "console.log(JSON.stringify([Object.keys(ours), ours.journey() ?? null]))"
    ran = subprocess.run(
        [node(), "--input-type=module", "--eval", code], capture_output=True, text=True, check=True, timeout=60
    )

    assert [["consent", "journey", "trackEvent"], None] == json.loads(ran.stdout)
