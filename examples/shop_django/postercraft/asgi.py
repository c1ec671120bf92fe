"""For ASGI servers: `uvicorn postercraft.asgi:application`."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "postercraft.settings")

application = get_asgi_application()
