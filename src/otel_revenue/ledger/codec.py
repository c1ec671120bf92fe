# SPDX-License-Identifier: Apache-2.0
"""A group as one JSON text, as stores keep it."""

from __future__ import annotations

import json

from .model import Alias, Group, Soft, evidence_from_list, evidence_to_list, setback_from_list, setback_to_list


def group_to_text(group: Group) -> str:
    """Return all of *group* but its number; short keys, as there is one text per payment."""
    return json.dumps(
        {
            "a": sorted(group.aliases),
            "t": sorted(group.truncated),
            "e": [evidence_to_list(e) for e in group.evidence],
            "f": [group.created, group.billing, group.shared, group.settled],
            "s": group.soft,
            "w": group.twin,
            "r": [group.recorded_ns, group.recorded_as],
            "d": group.due_ns,
            "l": group.labels,
            "p": group.traceparent,
            "c": group.created_ns,
            "n": group.seen,
            **({"m": [setback_to_list(s) for s in group.setbacks]} if group.setbacks else {}),
        },
        separators=(",", ":"),
    )


def group_from_text(number: int, text: str) -> Group:
    """Read what `group_to_text` wrote, as the group with that number."""
    raw = json.loads(text)
    created, billing, shared, settled = raw["f"]
    recorded_ns, recorded_as = raw["r"]
    return Group(
        id=number,
        aliases=frozenset(Alias(*a) for a in raw["a"]),
        truncated=frozenset(Alias(*a) for a in raw["t"]),
        evidence=tuple(evidence_from_list(e) for e in raw["e"]),
        created=created,
        billing=billing,
        shared=shared,
        settled=settled,
        soft=Soft(*raw["s"]) if raw["s"] else None,
        twin=raw["w"],
        recorded_ns=recorded_ns,
        recorded_as=Alias(*recorded_as) if recorded_as else None,
        due_ns=raw["d"],
        labels=raw["l"],
        traceparent=raw["p"],
        created_ns=raw["c"],
        seen=(raw["n"][0], raw["n"][1], raw["n"][2]),
        setbacks=tuple(setback_from_list(s) for s in raw.get("m", ())),
    )
