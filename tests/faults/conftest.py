"""The fixtures of `support.parts`: a fake Stripe, a real receiver, and the unmodified shop."""

from support.parts import fake, receiver, shop

__all__ = ["fake", "receiver", "shop"]
