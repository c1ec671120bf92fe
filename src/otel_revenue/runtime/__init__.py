# SPDX-License-Identifier: Apache-2.0
"""One process's running parts: store, ledger, spool, sender, thread."""

from .runtime import Runtime

__all__ = ["Runtime"]
