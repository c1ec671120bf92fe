"""Settings of the careless application on Django."""

from __future__ import annotations

ROOT_URLCONF = "with_django"
SECRET_KEY = "leaky" * 10
ALLOWED_HOSTS = ["*"]
MIDDLEWARE: list[str] = []
LOGGING_CONFIG = None
