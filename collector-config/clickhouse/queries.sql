-- What to ask of revenue.events, which has each event once. Amounts are in Stripe's minor units: never add currencies.
-- Definitions in words: docs/dashboard.md. Each query stands alone; the last 30 days.

-- name: revenue_by_day
SELECT toDate(time) AS day, currency, count() AS payments, sum(amount_minor) AS amount_minor
FROM revenue.events
WHERE event_name = 'order.paid' AND livemode AND synthetic IS NOT TRUE AND time >= now() - INTERVAL 30 DAY
GROUP BY day, currency ORDER BY day, currency;

-- name: average_order_value_by_tier
-- A renewal may carry its subscription's first order: orders are counted without renewals.
SELECT currency, tier, count() AS orders, round(avg(amount_minor)) AS average_minor, quantileExact(0.5)(amount_minor) AS median_minor
FROM revenue.events
WHERE event_name = 'order.paid' AND livemode AND synthetic IS NOT TRUE AND time >= now() - INTERVAL 30 DAY
  AND payment_kind IS DISTINCT FROM 'subscription_renewal'
GROUP BY currency, tier ORDER BY currency, orders DESC;

-- name: funnel
-- Orders by the furthest stage that they reached within a day of their first event.
SELECT countIf(stage >= 1) AS started, countIf(stage >= 2) AS session_created, countIf(stage >= 3) AS paid
FROM (
  SELECT order_id, windowFunnel(86400)(toDateTime(time), event_name = 'checkout.start',
    event_name = 'checkout.session_created', event_name = 'order.paid') AS stage
  FROM revenue.events
  WHERE order_id IS NOT NULL AND synthetic IS NOT TRUE AND livemode IS NOT FALSE AND time >= now() - INTERVAL 30 DAY
  GROUP BY order_id
);

-- name: revenue_by_surface
SELECT ifNull(surface, 'unknown') AS place, currency, count() AS payments, sum(amount_minor) AS amount_minor
FROM revenue.events
WHERE event_name = 'order.paid' AND livemode AND synthetic IS NOT TRUE AND time >= now() - INTERVAL 30 DAY
GROUP BY place, currency ORDER BY amount_minor DESC;

-- name: conversion_by_slowness
-- What slow checkouts cost: orders that were paid, of those that began, by how long the request took until then.
SELECT multiIf(ms < 500, '< 0.5 s', ms < 1000, '< 1 s', ms < 2000, '< 2 s', '2 s and more') AS slowness,
  count() AS started, countIf(paid) AS bought, round(countIf(paid) / count(), 3) AS conversion
FROM (
  SELECT order_id, maxIf(elapsed_ms, event_name = 'checkout.session_created') AS ms, max(event_name = 'order.paid') AS paid
  FROM revenue.events
  WHERE order_id IS NOT NULL AND synthetic IS NOT TRUE AND livemode IS NOT FALSE AND time >= now() - INTERVAL 30 DAY
  GROUP BY order_id
)
WHERE ms IS NOT NULL
GROUP BY slowness ORDER BY min(ms);

-- name: copies
-- How many rows are copies of another, as long as no merge has removed them.
SELECT EventName AS event_name, count() AS written, uniqExact(EventId) AS events FROM revenue.otel_events GROUP BY event_name;

-- name: books
-- To hold against Stripe's balance report, by currency.
SELECT currency, count() AS payments, sum(amount_minor) AS amount_minor
FROM revenue.events
WHERE event_name = 'order.paid' AND livemode AND synthetic IS NOT TRUE
GROUP BY currency ORDER BY currency;
