"""A certificate authority of our own, with a server's and a client's certificate, by the `openssl` program."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import grpc


@dataclass(frozen=True)
class Certificates:
    folder: Path

    @property
    def ca(self) -> str:
        return str(self.folder / "ca.pem")

    def file(self, name: str) -> str:
        return str(self.folder / name)

    def for_http(self, *, client: bool) -> ssl.SSLContext:
        """A server's context, which asks for the client's certificate where *client*."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file("server.pem"), self.file("server.key"))
        if client:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.ca)
        return context

    def for_grpc(self, *, client: bool) -> grpc.ServerCredentials:
        pair = (Path(self.file("server.key")).read_bytes(), Path(self.file("server.pem")).read_bytes())
        ca = Path(self.ca).read_bytes() if client else None
        return grpc.ssl_server_credentials([pair], root_certificates=ca, require_client_auth=client)


def make(folder: Path) -> Certificates:
    """Make ca.pem, server.pem/key and client.pem/key in *folder*, in the strict form (RFC 5280) that Python asks for since 3.13."""
    _openssl(
        folder, "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test-ca "
        "-addext keyUsage=critical,keyCertSign,cRLSign -keyout ca.key -out ca.pem",
    )  # fmt: skip
    (folder / "names.cnf").write_text(
        "subjectAltName=DNS:localhost,IP:127.0.0.1\nauthorityKeyIdentifier=keyid:always\n"
    )
    for name in ("server", "client"):
        _openssl(
            folder, "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
            f"-subj /CN={name} -keyout {name}.key -out {name}.csr",
        )  # fmt: skip
        _openssl(
            folder, f"x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names.cnf "
            f"-out {name}.pem",
        )  # fmt: skip
    return Certificates(folder)


def _openssl(folder: Path, arguments: str) -> None:
    subprocess.run(["openssl", *arguments.split()], cwd=folder, check=True, capture_output=True)
