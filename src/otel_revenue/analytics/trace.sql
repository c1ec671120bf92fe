-- One order over its traces.

-- name: last_paid_order
-- The order paid last; one whose trace arrived before one whose did not.
SELECT e.order_id FROM event e
WHERE e.event_name = 'order.paid' AND e.order_id IS NOT NULL AND e.payment_kind IS DISTINCT FROM 'subscription_renewal'
ORDER BY EXISTS (SELECT 1 FROM span s WHERE s.order_id = e.order_id AND s.name = 'checkout.payment') DESC,
  EXISTS (SELECT 1 FROM span s WHERE s.trace_id = e.trace_id) DESC, e.time_ns DESC, e.observed_ns DESC, e.key
LIMIT 1;

-- name: order_events
SELECT event_name, time_ns, trace_id, attributes FROM event WHERE order_id = $order_id ORDER BY time_ns, event_name, key;

-- name: order_spans
-- The spans of all traces that an event or a span of the order names, and of those linked to them in either direction.
WITH own AS (
  SELECT trace_id FROM event WHERE order_id = $order_id AND trace_id IS NOT NULL
  UNION SELECT trace_id FROM span WHERE order_id = $order_id
), link AS (
  SELECT source, l.trace_id AS target
  FROM (SELECT trace_id AS source, unnest(from_json(links, '[{"trace_id": "VARCHAR"}]')) AS l FROM span WHERE links <> '[]')
), traces AS (
  SELECT trace_id FROM own
  UNION SELECT source FROM link WHERE target IN (FROM own)
  UNION SELECT target FROM link WHERE source IN (FROM own)
)
SELECT trace_id, span_id, parent_id, name, kind, service, start_ns, end_ns, status, attributes, links, events
FROM span WHERE trace_id IN (FROM traces) ORDER BY start_ns, span_id LIMIT 1000;
