# SPDX-License-Identifier: Apache-2.0
"""
What people mask telemetry with, each as it comes, behind one shape: attribute in, text out.

`python -m benchmarks.privacy.scrubbers NAME found|speed|hostile` measures one of them in a process of its own, since each brings
dependencies of its own, and prints JSON.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final

from benchmarks import scrubbing
from support import corpus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Scrub = Callable[[Mapping[str, str]], Any]

KIB: Final = 1024
SIZES: Final = (64 * KIB, KIB * KIB)


def otel_revenue() -> Scrub:
    """Return the masking of attributes under the default profile."""
    from otel_revenue.privacy.policy import Policy
    from otel_revenue.privacy.redactor import Redactor

    return Redactor(Policy(), lambda _: None).attributes


def logfire() -> Scrub:
    """Return the scrubber of logfire's exporter, with its default patterns; it masks a value whose key or text they hit, whole."""
    from logfire._internal.scrubbing import Scrubber

    scrubber = Scrubber([])
    return lambda attributes: {
        key: scrubber.scrub_value(("attributes", key), text)[0] for key, text in attributes.items()
    }


def sentry() -> Scrub:
    """Return the scrubber of sentry-sdk, with its default lists of names, recursive; it looks at keys alone."""
    from sentry_sdk.scrubber import EventScrubber

    scrubber = EventScrubber(recursive=True, send_default_pii=False)

    def scrub(attributes: Mapping[str, str]) -> Any:
        copy = dict(attributes)
        scrubber.scrub_dict(copy)
        return {key: getattr(value, "value", value) for key, value in copy.items()}

    return scrub


def presidio() -> Scrub:
    """
    Return presidio's recognizers by pattern for what is compared here.

    Without a model of spaCy, which would look for names: it is no package of PyPI's.
    """
    import tldextract.tldextract
    from presidio_analyzer import predefined_recognizers as known

    # As shipped, it fetches a list from the internet at the first address.
    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=())
    names = ("CreditCard", "Email", "Iban", "Ip", "Phone")
    recognizers = [getattr(known, f"{name}Recognizer")() for name in names]

    def masked(text: str) -> str:
        found = [hit for one in recognizers for hit in one.analyze(text, one.supported_entities, None)]
        for hit in sorted(found, key=lambda hit: hit.start, reverse=True):
            text = text[: hit.start] + "[masked]" + text[hit.end :]
        return text

    return lambda attributes: {key: masked(text) for key, text in attributes.items()}


ALL: Final = {"otel-revenue": otel_revenue, "logfire": logfire, "sentry": sentry, "presidio": presidio}
PACKAGES: Final = {"logfire": "logfire", "sentry": "sentry-sdk", "presidio": "presidio-analyzer"}


def found(scrub: Scrub) -> dict[str, Any]:
    """Return how many of each kind were masked, and how many of each kind that should stay were changed, of how many."""
    masked: dict[str, list[int]] = {}
    for row in corpus.masked():
        count = masked.setdefault(row.kind, [0, 0])
        left = [text for pair in scrub({row.key: row.text}).items() for text in map(str, pair)]
        count[0] += not any(row.value in text for text in left)
        count[1] += 1
    changed: dict[str, list[int]] = {}
    for item in corpus.kept():
        count = changed.setdefault(item.kind, [0, 0])
        count[0] += scrub({item.key: item.text}) != {item.key: item.text}
        count[1] += 1
    return {"masked": masked, "changed": changed}


def speed(scrub: Scrub) -> float:
    """Return the microseconds of a record of ten values of sixty characters, two in a hundred of which hold personal data; the median."""
    sample = [{f"attribute.{n}": value for n, value in enumerate(record)} for record in scrubbing.records()[:200]]
    taken = []
    for record in sample:
        start = time.perf_counter_ns()
        scrub(record)
        taken.append((time.perf_counter_ns() - start) / 1000)
    return statistics.median(taken)


def hostile(scrub: Scrub) -> list[float]:
    """Return, for values of each of `SIZES`, the milliseconds of the worst one."""
    worst = []
    for size in SIZES:
        taken = []
        for piece in corpus.hostile().values():
            attributes = {"note": (piece * size)[:size]}
            start = time.perf_counter_ns()
            scrub(attributes)
            taken.append((time.perf_counter_ns() - start) / 1e6)
        worst.append(max(taken))
        print(json.dumps(worst), flush=True)  # whoever cuts us short has what there is
    return worst


def version(name: str) -> str:
    """Return the version of a scrubber's package."""
    return metadata.version(PACKAGES[name]) if name in PACKAGES else ""


def main(name: str, what: str) -> None:
    """Measure one thing of one scrubber."""
    scrub = ALL[name]()
    measured = {"found": found, "speed": speed, "hostile": hostile}[what](scrub)
    print(json.dumps({"version": version(name), **measured} if isinstance(measured, dict) else measured))


if __name__ == "__main__":
    main(*sys.argv[1:3])
