# SPDX-License-Identifier: Apache-2.0
"""The key and the secret that a fake has unless it is given others. Public, so no secrets at all."""

from __future__ import annotations

from typing import Final

API_KEY: Final = "sk_test_fake_stripe_on_loopback"
WEBHOOK_SECRET: Final = "whsec_fake_stripe_on_loopback"  # noqa: S105 - a fake's
