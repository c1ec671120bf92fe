-- What the numbers of the report are. Run in this order, in one transaction, over one consistent view of the data.
-- `arg_min(x, {time, x})`: the earliest; of one moment the smallest, so that the order of arrival means nothing.
-- Definitions in words: docs/dashboard.md. Variables: live (BOOLEAN), since_ns, until_ns (half-open), window_ns, now_ns.

-- name: set_live
SET VARIABLE live = $value;

-- name: set_since_ns
SET VARIABLE since_ns = $value;

-- name: set_until_ns
SET VARIABLE until_ns = $value;

-- name: set_window_ns
SET VARIABLE window_ns = $value;

-- name: set_now_ns
SET VARIABLE now_ns = $value;

-- name: set_has_starts
SET VARIABLE has_starts = $value;

-- name: base_journey
-- A buying attempt gets its order_id from the first event that knows both.
CREATE OR REPLACE TEMP TABLE journey AS
SELECT journey_id, arg_min(order_id, {'t': time_ns, 'v': order_id}) AS known_as FROM event
WHERE journey_id IS NOT NULL AND order_id IS NOT NULL GROUP BY 1;

-- name: base_keyed
-- Every event with the key of its order; synthetic traffic is out. Where the shop has no order_id, Stripe's ids join.
CREATE OR REPLACE TEMP MACRO keyed() AS TABLE
SELECT e.*, coalesce(e.order_id, j.known_as, 'journey:' || e.journey_id, 'session:' || e.session_id,
    'intent:' || e.payment_intent_id, 'event:' || e.event_id, 'key:' || e.key) AS order_key
FROM event e LEFT JOIN journey j ON j.journey_id = e.journey_id
WHERE e.synthetic IS NOT TRUE;

-- name: base_paid
-- One row per payment of the asked mode. The store has one row per (event name, event_id) already.
CREATE OR REPLACE TEMP TABLE paid AS
SELECT event_id, order_key, time_ns, currency, amount_minor, coalesce(payment_kind, 'unknown') AS payment_kind,
  tier, coalesce(country, 'unknown') AS country, coalesce(surface, 'unknown') AS surface, disagreed
FROM keyed()
WHERE event_name = 'order.paid' AND livemode = getvariable('live')
  AND amount_minor IS NOT NULL AND regexp_full_match(currency, '[A-Z]{3}')
  AND time_ns >= getvariable('since_ns') AND time_ns < getvariable('until_ns');

-- name: base_stages
-- Per order the earliest time of each stage, in whole seconds: Stripe's clock has no finer ones, and a payment must not
-- seem to come before the session of the same second. Place and country are those known before the payment: taken
-- from the payment they would be known for those who paid alone, and every country would convert at 100 %.
-- An event that says no mode belongs to its order's; an order of which nothing says one is in both views.
CREATE OR REPLACE TEMP TABLE stages AS
SELECT order_key,
  min(time_ns // 1000000000) FILTER (WHERE event_name = 'checkout.start') AS started_s,
  min(time_ns // 1000000000) FILTER (WHERE event_name = 'checkout.session_created') AS session_s,
  min(time_ns // 1000000000) FILTER (WHERE event_name = 'order.paid') AS paid_s,
  coalesce(arg_min(country, {'t': time_ns, 'v': country}) FILTER (WHERE event_name <> 'order.paid'), 'unknown') AS country,
  coalesce(arg_min(surface, {'t': time_ns, 'v': surface}) FILTER (WHERE event_name <> 'order.paid'), 'unknown') AS surface,
  bool_and(livemode IS NULL) AS no_mode
FROM keyed()
WHERE event_name IN ('checkout.start', 'checkout.session_created', 'order.paid')
  AND payment_kind IS DISTINCT FROM 'subscription_renewal'
  AND livemode IS DISTINCT FROM (NOT getvariable('live'))
GROUP BY 1;

-- name: base_other_mode
-- Orders that are wholly of the other mode but for events that say none.
DELETE FROM stages WHERE no_mode AND order_key IN (SELECT order_key FROM keyed() WHERE livemode = (NOT getvariable('live')));

-- name: currencies
-- Payments and gross revenue. Currencies are never added to each other.
SELECT currency, count(*), sum(amount_minor) FROM paid GROUP BY 1 ORDER BY 1;

-- name: paid_orders
-- Renewals may carry the first order's id for years: counted by order they would vanish, so they are payments alone.
SELECT count(DISTINCT order_key) FROM paid WHERE payment_kind <> 'subscription_renewal';

-- name: tiers
-- AOV: several payments of one order are added first. The row without tier (NULL) is the whole currency.
WITH orders AS (
  SELECT order_key, currency, coalesce(arg_min(tier, {'t': time_ns, 'v': tier}), 'unknown') AS tier, sum(amount_minor) AS minor
  FROM paid WHERE payment_kind <> 'subscription_renewal' GROUP BY 1, 2
)
SELECT currency, tier, count(*), sum(minor), quantile_disc(minor, 0.5), -quantile_disc(-minor, 0.5)
FROM orders GROUP BY GROUPING SETS ((currency), (currency, tier)) ORDER BY 1, 2 NULLS FIRST;

-- name: kinds
SELECT payment_kind, currency, count(*), sum(amount_minor) FROM paid GROUP BY 1, 2 ORDER BY 2, 4 DESC, 1;

-- name: revenue_by_country
SELECT country, currency, count(*), sum(amount_minor) FROM paid GROUP BY 1, 2 ORDER BY 2, 4 DESC, 1;

-- name: revenue_by_surface
SELECT surface, currency, count(*), sum(amount_minor) FROM paid GROUP BY 1, 2 ORDER BY 2, 4 DESC, 1;

-- name: has_starts
SELECT count(*) > 0 FROM stages WHERE started_s IS NOT NULL;

-- name: base_cohort
-- The orders whose first stage lies in the period. First stage: checkout.start where any event of that name exists.
CREATE OR REPLACE TEMP TABLE cohort AS
SELECT *, first_s + window_s AS end_s, first_s + window_s > getvariable('now_ns') // 1000000000 AS young FROM (
  SELECT *, CASE WHEN getvariable('has_starts') THEN started_s ELSE session_s END AS first_s,
    getvariable('window_ns') // 1000000000 AS window_s
  FROM stages)
WHERE first_s >= getvariable('since_ns') // 1000000000 AND first_s < getvariable('until_ns') // 1000000000;

-- name: conversion
-- Closed: of the orders that began in the period, those paid within the window.
SELECT count(*), count(*) FILTER (WHERE paid_s BETWEEN first_s AND end_s),
  count(*) FILTER (WHERE young AND NOT coalesce(paid_s BETWEEN first_s AND end_s, false)), count(*) FILTER (WHERE no_mode)
FROM cohort;

-- name: conversion_by_country
SELECT country, count(*), count(*) FILTER (WHERE paid_s BETWEEN first_s AND end_s) FROM cohort GROUP BY 1 ORDER BY 2 DESC, 1;

-- name: conversion_by_surface
SELECT surface, count(*), count(*) FILTER (WHERE paid_s BETWEEN first_s AND end_s) FROM cohort GROUP BY 1 ORDER BY 2 DESC, 1;

-- name: funnel
-- Each stage with the required ones before it, in order, each within the window of the one before.
WITH steps AS (
  SELECT session_s - first_s AS to_session, paid_s - session_s AS to_paid,
    coalesce(session_s - first_s BETWEEN 0 AND window_s, false) AS has_session,
    coalesce(paid_s - session_s BETWEEN 0 AND window_s, false) AS has_paid
  FROM cohort
)
SELECT count(*), count(*) FILTER (WHERE has_session), count(*) FILTER (WHERE has_session AND has_paid),
  quantile_disc(to_session, [0.5, 0.95]) FILTER (WHERE has_session),
  quantile_disc(to_paid, [0.5, 0.95]) FILTER (WHERE has_session AND has_paid)
FROM steps;

-- name: designs
-- Optional stages, counted by design: started in the period, and of those approved within the window.
WITH designs AS (
  SELECT coalesce(attributes ->> '$.design_id', order_key) AS design,
    min(time_ns) FILTER (WHERE event_name = 'design.started') AS started_ns,
    min(time_ns) FILTER (WHERE event_name = 'design.approved') AS approved_ns
  FROM keyed() WHERE event_name IN ('design.started', 'design.approved') AND livemode IS DISTINCT FROM (NOT getvariable('live'))
  GROUP BY 1
)
SELECT count(*), count(*) FILTER (WHERE approved_ns BETWEEN started_ns AND started_ns + getvariable('window_ns'))
FROM designs WHERE started_ns >= getvariable('since_ns') AND started_ns < getvariable('until_ns');

-- name: quality
-- What is in no sum, and why; and how fresh the data is.
SELECT
  count(*) FILTER (WHERE paid AND in_mode AND usable AND disagreed),
  count(*) FILTER (WHERE paid AND in_mode AND NOT usable),
  count(*) FILTER (WHERE paid AND livemode IS NULL),
  count(*) FILTER (WHERE paid AND usable AND livemode = (NOT getvariable('live'))),
  count(*) FILTER (WHERE synthetic)
FROM (
  SELECT *, event_name = 'order.paid' AND synthetic IS NOT TRUE AS paid, coalesce(livemode = getvariable('live'), false) AS in_mode,
    coalesce(amount_minor IS NOT NULL AND regexp_full_match(currency, '[A-Z]{3}'), false) AS usable
  FROM event WHERE time_ns >= getvariable('since_ns') AND time_ns < getvariable('until_ns'));

-- name: freshness
-- The last event of all and how late it came; the last payment of the asked mode. Whenever they were.
SELECT max(time_ns), arg_max(received_ns - time_ns, time_ns),
  max(time_ns) FILTER (WHERE event_name = 'order.paid' AND livemode = getvariable('live') AND synthetic IS NOT TRUE)
FROM event;
