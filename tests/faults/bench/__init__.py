# SPDX-License-Identifier: Apache-2.0
"""
Faults against the real thing: what is sent, delivered, doubled, lost, and how long the application waits for us.

`make faults`, or `python -m faults.bench` with `tests` on the path. Each fault runs the same course: some payments in peace,
most while the fault lasts, some after it; then everything is counted at the receiver, by the payment.
"""

from __future__ import annotations

from typing import Final

SECRET: Final = "whsec_of_the_fault_bench"
