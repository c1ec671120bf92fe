-- {{mark}}
--
-- The events in ClickHouse (23.8 or newer), schema version {{version}}, as backends/clickhouse.yaml writes them.
--   clickhouse client --multiquery < schema.sql
-- It can be run again: after an upgrade it adds the columns that are new, and old rows have them too.

CREATE DATABASE IF NOT EXISTS revenue;

-- What the exporter writes. Delivery is at least once, and a copy has the same EventName and EventId: merges keep one of them.
-- Partitions are for dropping old months; copies of one event have one Timestamp, and so one partition.
CREATE TABLE IF NOT EXISTS revenue.otel_events (
  Timestamp DateTime64(9) CODEC(Delta(8), ZSTD(1)),
  TraceId String CODEC(ZSTD(1)),
  SpanId String CODEC(ZSTD(1)),
  TraceFlags UInt8,
  SeverityText LowCardinality(String),
  SeverityNumber UInt8,
  ServiceName LowCardinality(String),
  Body String CODEC(ZSTD(1)),
  ResourceSchemaUrl LowCardinality(String),
  ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
  ScopeSchemaUrl LowCardinality(String),
  ScopeName LowCardinality(String),
  ScopeVersion LowCardinality(String),
  ScopeAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
  LogAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
  -- The exporter looks for this column when the Collector starts. Where ClickHouse was away then, the attribute fills it.
  EventName LowCardinality(String) DEFAULT LogAttributes['event.name'],
  -- A record without event_id is known by all of its content, so that no two of them replace one another.
  EventId String MATERIALIZED if(LogAttributes['event_id'] != '', LogAttributes['event_id'],
    'none:' || hex(sipHash128(Timestamp, TraceId, SpanId, ServiceName, LogAttributes))),
  Written DateTime64(3) DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(Timestamp)
ORDER BY (EventName, EventId);

-- One column per attribute, typed. The exporter writes a map of texts; what is absent, or no number, is NULL.
ALTER TABLE revenue.otel_events
{{columns}};

-- What to query: each event once, whether its copies have been merged or not.
CREATE OR REPLACE VIEW revenue.events AS
SELECT
  Timestamp AS time,
  Written AS written,
  EventName AS event_name,
  EventId AS event_id,
  TraceId AS trace_id,
  SpanId AS span_id,
  ServiceName AS service,
{{names}}
FROM revenue.otel_events FINAL;
