# SPDX-License-Identifier: Apache-2.0
"""All rules over a configuration. Pure: parsed YAML in, findings out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import _money, _privacy, _wiring
from ._layers import Whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence, Set

    from ._layers import Fault, Layer


def faults(layers: Sequence[Layer], environ: Mapping[str, str], attributes: Set[str], version: str) -> list[Fault]:
    """
    Return what is wrong, gravest first.

    Args:
        layers: the files, in the order in which the Collector gets them.
        environ: its environment.
        attributes, version: of the schema, see `_privacy.allow_list`.
    """
    whole = Whole(layers, environ)
    found = [
        *_wiring.restated(whole),
        *_wiring.variables(whole),
        *_wiring.references(whole),
        *_wiring.extensions(whole),
        *_money.record(whole),
        *_money.queues(whole),
        *_money.watchers(whole),
        *_money.batches(whole),
        *_privacy.allow_list(whole, attributes, version),
        *_privacy.error_modes(whole),
        *_privacy.around(whole),
    ]
    return sorted(dict.fromkeys(found), key=lambda fault: not fault.grave)
