# SPDX-License-Identifier: Apache-2.0
"""A real Kafka broker from the jars that `make kafka` copies, behind a door that can be shut: the broker itself takes long to start."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from .ports import free_port
from .receiver import wait_for

JARS = "OTEL_REVENUE_TEST_KAFKA"
_SETTINGS = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{door}
controller.listener.names=CONTROLLER
log.dirs={folder}/data
num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
"""


@dataclass
class Door:
    """Passes connections on to the port *to* while it is open; always at one port of its own."""

    to: int = 0
    port: int = field(default_factory=free_port)
    _listener: socket.socket | None = None
    _open: list[socket.socket] = field(default_factory=list)

    def open(self) -> None:
        """Take connections."""
        if self._listener is not None:
            return
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def shut(self) -> None:
        """Cut those that there are, and refuse new ones."""
        if self._listener is not None:
            # Closing alone leaves the kernel taking connections while a thread waits in accept.
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        for connection in self._open:
            _cut(connection)
        self._open.clear()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.to))
            self._open += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=_copy, args=(source, sink), daemon=True).start()


@dataclass
class Kafka:
    """A broker in *folder*; `door` is the address to give away."""

    folder: Path

    def __enter__(self) -> Kafka:
        jars, java = os.environ.get(JARS, ""), shutil.which("java")
        if java is None or not list(Path(jars).glob("kafka_*.jar") if jars else []):
            pytest.skip(f"{JARS} names no folder with Kafka's jars, or there is no Java: run `make test`")
        port, controller = free_port(), free_port()
        self.door = Door(port)
        settings = self.folder / "server.properties"
        settings.write_text(_SETTINGS.format(port=port, controller=controller, door=self.door.port, folder=self.folder))
        # One compiler stage: it starts sooner, and does little afterwards.
        run = [java, "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", f"{jars}/*"]
        with (self.folder / "kafka.log").open("wb") as log:
            identity = ["-t", "4L6g3nShT-eMCtK--X86sw", "-c", str(settings)]
            subprocess.run(
                [*run, "kafka.tools.StorageTool", "format", *identity], stdout=log, stderr=log, timeout=120, check=True
            )
            self._process = subprocess.Popen(
                [*run, "kafka.Kafka", str(settings)], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        self.door.open()
        up = wait_for(lambda: self._process.poll() is not None or "Kafka Server started" in self.said(), 120)
        if not up or self._process.poll() is not None:
            self.__exit__()
            raise AssertionError(f"Kafka did not start:\n{self.said()[-3000:]}")
        return self

    def __exit__(self, *_: object) -> None:
        self.door.shut()
        self._process.kill()
        self._process.wait(30)

    @property
    def address(self) -> str:
        """What clients are told."""
        return f"127.0.0.1:{self.door.port}"

    def said(self) -> str:
        """Its log so far."""
        return (self.folder / "kafka.log").read_text(errors="replace")

    def make(self, topic: str) -> None:
        """Make a topic of one partition."""
        from kafka.admin import KafkaAdminClient, NewTopic

        admin = KafkaAdminClient(bootstrap_servers=self.address)
        admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
        admin.close()

    def messages(self, topic: str) -> list[bytes]:
        """All messages of a topic."""
        from kafka import KafkaConsumer, TopicPartition

        consumer = KafkaConsumer(bootstrap_servers=self.address, enable_auto_commit=False)
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        consumer.seek_to_beginning(partition)
        end, found = consumer.end_offsets([partition])[partition], []
        while consumer.position(partition) < end:
            found += [message.value for batch in consumer.poll(1000).values() for message in batch]
        consumer.close()
        return found


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    _cut(source)
    _cut(sink)


def _cut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
