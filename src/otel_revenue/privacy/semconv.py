# SPDX-License-Identifier: Apache-2.0
"""
Attributes of the OpenTelemetry semantic conventions whose values are constants of code and of machines (v1.44.0, and the names before
the HTTP and database conventions became stable).

`strict` lets out these and no others. What people type or are known by is not among them: paths and queries of URLs, user agents,
statements of a database, messages.
"""

from __future__ import annotations

from typing import Final

IDENTIFIERS: Final = frozenset(
    "telemetry.sdk.name telemetry.sdk.language telemetry.sdk.version telemetry.distro.name telemetry.distro.version telemetry.auto.version "
    "service.name service.namespace service.version service.instance.id deployment.environment deployment.environment.name "
    "process.pid process.runtime.name process.runtime.version process.executable.name thread.id code.lineno code.line.number "
    "code.function code.function.name code.namespace http.request.method http.method http.route http.response.status_code "
    "http.status_code http.flavor network.protocol.name network.protocol.version server.port net.host.port net.peer.port client.port "
    "stripe.request.id error.type exception.type exception.escaped otel.status_code otel.scope.name otel.scope.version "
    "container.id k8s.pod.uid k8s.pod.name k8s.node.name k8s.namespace.name k8s.deployment.name k8s.container.name".split()
)
"""Their values are versions, numbers and ids that a search can take for something else: a plain word is not taken for an IP address."""

HARMLESS: Final = IDENTIFIERS | frozenset(
    "url.scheme url.template http.scheme http.request.body.size http.response.body.size http.request_content_length "
    "http.response_content_length http.request.resend_count http.request.method_original http.server_name http.host server.address "
    "net.host.name net.peer.name net.transport network.transport network.type network.local.address network.local.port "
    "db.system db.system.name db.operation db.operation.name db.operation.batch.size db.name db.namespace db.sql.table db.collection.name "
    "db.query.summary db.response.status_code db.response.returned_rows rpc.system rpc.service rpc.method rpc.grpc.status_code "
    "messaging.system messaging.operation messaging.operation.name messaging.operation.type messaging.destination.name "
    "messaging.batch.message_count code.filepath code.file.path code.column code.column.number thread.name log.logger log.iostreams "
    "os.type os.name os.version host.arch host.type host.name host.id process.runtime.description service.peer.name peer.service "
    "asgi.event.type component span.kind feature_flag.key feature_flag.result.variant event.name session.id tls.protocol.version".split()
)

HARMLESS_PREFIXES: Final = (
    "k8s.", "cloud.", "container.", "faas.", "telemetry.", "otel.", "aws.ecs.", "gcp.cloud_run.", "heroku.", "otel_revenue.",
)  # fmt: skip
