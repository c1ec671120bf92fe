"""The fixtures that most of these tests stand on; a file that needs another one of that name has its own."""

from support.instrumented import app
from support.parts import fake, receiver
from support.shared_ledger import open_store, url

__all__ = ["app", "fake", "open_store", "receiver", "url"]
