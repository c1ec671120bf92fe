-- What the numbers of the report are, over the tables of `orders.sql`, in one transaction with them.
-- `arg_min(x, {time, x})`: the earliest; of one moment the smallest, so that the order of arrival means nothing.
-- Definitions in words: docs/dashboard.md.

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

-- name: conversion
-- Closed: of the orders that began in the period, those paid within the window.
SELECT count(*), count(*) FILTER (WHERE converted), count(*) FILTER (WHERE young AND NOT converted),
  count(*) FILTER (WHERE no_mode)
FROM cohort;

-- name: conversion_by_country
SELECT country, count(*), count(*) FILTER (WHERE converted) FROM cohort GROUP BY 1 ORDER BY 2 DESC, 1;

-- name: conversion_by_surface
SELECT surface, count(*), count(*) FILTER (WHERE converted) FROM cohort GROUP BY 1 ORDER BY 2 DESC, 1;

-- name: funnel
-- Each stage with the required ones before it, in order, each within the window of the one before.
SELECT count(*), count(*) FILTER (WHERE has_session), count(*) FILTER (WHERE in_order),
  quantile_disc(session_s - first_s, [0.5, 0.95]) FILTER (WHERE has_session),
  quantile_disc(paid_s - session_s, [0.5, 0.95]) FILTER (WHERE in_order)
FROM cohort;

-- name: designs
-- Optional stages, counted by design: started in the period, and of those approved within the window.
WITH designs AS (
  SELECT coalesce(attributes ->> '$.design_id', order_key, key::VARCHAR) AS design,
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
