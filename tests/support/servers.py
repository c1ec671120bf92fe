"""The servers that people run the example shops with, as commands."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .ports import free_port
from .running_shop import REPOSITORY, RunningShop

if TYPE_CHECKING:
    from otel_revenue.testing import FakeStripe

EXAMPLES = REPOSITORY / "examples"
PROBE = Path(__file__).with_name("apps") / "gunicorn_probe.py"


@dataclass(frozen=True)
class Server:
    """`words` is what is run, with PORT for the port; `shop` the example in examples/."""

    name: str
    shop: str
    words: str

    @property
    def gunicorn(self) -> bool:
        return " gunicorn " in f" {self.words} "

    def command(self, port: int, *more: str) -> list[str]:
        words = self.words.replace("PORT", str(port)).split()
        if self.gunicorn:
            words += ["--no-control-socket", "--graceful-timeout", "10"]
        return [sys.executable, *([] if words[0] == "manage.py" else ["-m"]), *words, *more]


_GUNICORN = "gunicorn -b 127.0.0.1:PORT -w 2"
ALL = {
    server.name: server
    for server in (
        Server("uvicorn", "shop_fastapi", "uvicorn shop:app --port PORT"),
        Server("uvicorn-workers", "shop_fastapi", "uvicorn shop:app --port PORT --workers 2"),
        Server("hypercorn", "shop_fastapi", "hypercorn shop:app -b 127.0.0.1:PORT"),
        Server("hypercorn-workers", "shop_fastapi", "hypercorn shop:app -b 127.0.0.1:PORT -w 2"),
        Server("gunicorn-uvicorn", "shop_fastapi", f"{_GUNICORN} -k uvicorn_worker.UvicornWorker shop:app"),
        Server("gunicorn-uvicorn-preload", "shop_fastapi", f"{_GUNICORN} --preload -k uvicorn_worker.UvicornWorker shop:app"),
        Server("gunicorn-sync", "shop_flask", f"{_GUNICORN} shop:app"),
        Server("gunicorn-sync-preload", "shop_flask", f"{_GUNICORN} --preload shop:app"),
        Server("gunicorn-gthread", "shop_flask", f"{_GUNICORN} -k gthread --threads 4 shop:app"),
        Server("gunicorn-gthread-preload", "shop_flask", f"{_GUNICORN} --preload -k gthread --threads 4 shop:app"),
        Server("gunicorn-django", "shop_django", f"{_GUNICORN} postercraft.wsgi"),
        Server("gunicorn-django-preload", "shop_django", f"{_GUNICORN} --preload postercraft.wsgi"),
        Server("uvicorn-django", "shop_django", "uvicorn postercraft.asgi:application --port PORT"),
        Server("flask-run", "shop_flask", "flask --app shop run --port PORT"),
        Server("runserver", "shop_django", "manage.py runserver PORT"),
        Server("runserver-noreload", "shop_django", "manage.py runserver --noreload PORT"),
    )
}  # fmt: skip


def shop_on(server: Server, fake: FakeStripe, folder: Path, otlp: str, *more: str, **environ: str) -> RunningShop:
    """Return the shop on a server, not started; *more* are words for its command, *environ* variables."""
    port = free_port()
    if server.gunicorn:
        more = ("-c", str(PROBE), *more)
        environ = {"GUNICORN_PROBE": str(folder / "probe.jsonl"), **environ}
    cwd = EXAMPLES / server.shop
    shop = RunningShop(fake, folder, otlp, environ=environ, command=server.command(port, *more), port=port, cwd=cwd)
    if server.shop == "shop_django":
        shop.environ["DJANGO_SETTINGS_MODULE"] = "postercraft.settings"
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "--verbosity", "0"], cwd=cwd, env=shop._environment(), check=True
        )
    return shop
