# SPDX-License-Identifier: Apache-2.0
"""
The look-up (`OTEL_REVENUE_STRIPE_LOOKUP`): asks Stripe's API for what webhooks leave open, never on the request path.

`questions` says what a payment on hold raises, `answers` what an answer tells (both pure); `pacing` when to ask;
`clients` with whose settings; `asker` within which limits; `ask` makes the call; `waiting` keeps thin events; `turn` says
which process asks; `lookup` is the thread that does it; `parts` is what the listener and the runtime know.
"""
