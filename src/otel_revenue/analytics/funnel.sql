-- What the numbers of the funnel are, over the tables of `orders.sql`, in one transaction with them.
-- Definitions in words: docs/dashboard.md.

-- name: base_inside
-- Whether a stage's second lies in the period.
CREATE OR REPLACE TEMP MACRO inside(at_s) AS
  at_s >= getvariable('since_ns') // 1000000000 AND at_s < getvariable('until_ns') // 1000000000;

-- name: base_failed
-- Failed attempts of the period. A renewal that fails is no buyer who was lost at the checkout.
CREATE OR REPLACE TEMP TABLE failed AS
SELECT order_key, time_ns // 1000000000 AS at_s, coalesce(attributes ->> '$.decline_code', 'unknown') AS decline_code,
  coalesce(payment_kind = 'subscription_renewal', false) AS renewal
FROM keyed()
WHERE event_name = 'checkout.payment_failed' AND livemode = getvariable('live')
  AND time_ns >= getvariable('since_ns') AND time_ns < getvariable('until_ns');

-- name: reached
-- Open: orders that reached a stage in the period, whatever came before.
SELECT count(*) FILTER (WHERE inside(design_started_s)), count(*) FILTER (WHERE inside(design_approved_s)),
  count(*) FILTER (WHERE inside(started_s)), count(*) FILTER (WHERE inside(session_s)), count(*) FILTER (WHERE inside(paid_s))
FROM stages;

-- name: kept
-- Closed: orders that began in the period, and of those the ones that came to the Session, and on to the payment, in order.
SELECT count(*), count(*) FILTER (WHERE has_session), count(*) FILTER (WHERE in_order) FROM cohort;

-- name: steps
-- From one stage to the next: of the orders at a stage, those that reached the next one within the window, and how long it
-- took; the same of those alone whose window is over, and how many may still come. A required stage counts with all required
-- ones before it; an optional one is no condition for what follows.
SELECT stage, count(*) FILTER (WHERE made), count(*),
  count(*) FILTER (WHERE made AND NOT young), count(*) FILTER (WHERE NOT young), count(*) FILTER (WHERE young AND NOT made),
  quantile_disc(took_s, [0.5, 0.9, 0.95]) FILTER (WHERE made)
FROM (
  SELECT stage, to_s - from_s AS took_s,
    coalesce(to_s - from_s BETWEEN 0 AND getvariable('window_ns') // 1000000000, false) AS made,
    from_s + getvariable('window_ns') // 1000000000 > getvariable('now_ns') // 1000000000 AS young
  FROM (
    SELECT 'design.approved' AS stage, design_started_s AS from_s, design_approved_s AS to_s FROM stages
    WHERE inside(design_started_s)
    UNION ALL
    SELECT CASE WHEN getvariable('has_starts') THEN 'checkout.start' ELSE 'checkout.session_created' END, design_approved_s,
      CASE WHEN getvariable('has_starts') THEN started_s ELSE session_s END
    FROM stages WHERE inside(design_approved_s)
    UNION ALL
    SELECT 'checkout.session_created', first_s, session_s FROM cohort WHERE getvariable('has_starts')
    UNION ALL
    SELECT 'order.paid', session_s, paid_s FROM cohort WHERE has_session))
GROUP BY 1;

-- name: slices
-- Closed conversion of all, and by what was known of the order before it was paid; unknown is a row of its own.
SELECT CASE WHEN grouping(surface) = 0 THEN 'surface' WHEN grouping(tier) = 0 THEN 'tier'
    WHEN grouping(country) = 0 THEN 'country' ELSE '' END AS dimension,
  coalesce(surface, tier, country, ''), count(*), count(*) FILTER (WHERE has_session), count(*) FILTER (WHERE converted),
  count(*) FILTER (WHERE NOT young), count(*) FILTER (WHERE converted AND NOT young),
  count(*) FILTER (WHERE young AND NOT converted)
FROM cohort GROUP BY GROUPING SETS ((), (surface), (tier), (country)) ORDER BY 1, 3 DESC, 2;

-- name: attempts
-- Failed attempts, payments, failed renewals.
SELECT count(*) FILTER (WHERE NOT renewal), (SELECT count(*) FROM paid WHERE payment_kind <> 'subscription_renewal'),
  count(*) FILTER (WHERE renewal)
FROM failed;

-- name: declined
-- Orders with a failed attempt, those of them that were paid afterwards, and those that may still be.
SELECT count(*), count(*) FILTER (WHERE recovered), count(*) FILTER (WHERE young AND NOT recovered) FROM (
  SELECT coalesce(s.last_paid_s >= f.first_s, false) AS recovered,
    f.first_s + getvariable('window_ns') // 1000000000 > getvariable('now_ns') // 1000000000 AS young
  FROM (SELECT order_key, min(at_s) AS first_s FROM failed WHERE NOT renewal AND order_key IS NOT NULL GROUP BY 1) f
  LEFT JOIN stages s USING (order_key));

-- name: decline_codes
-- By code: attempts, orders, and those of them that were paid after it.
SELECT decline_code, count(*), count(DISTINCT order_key), count(DISTINCT order_key) FILTER (WHERE last_paid_s >= at_s)
FROM failed LEFT JOIN stages USING (order_key) WHERE NOT renewal GROUP BY 1 ORDER BY 2 DESC, 1;

-- name: expired
-- Orders of which a payment could no more be made, and those of them that were paid by another one.
SELECT count(*) FILTER (WHERE paid_s IS NOT NULL), count(*) FROM (
  SELECT DISTINCT order_key FROM keyed()
  WHERE event_name = 'checkout.expired' AND livemode = getvariable('live') AND order_key IS NOT NULL
    AND time_ns >= getvariable('since_ns') AND time_ns < getvariable('until_ns'))
LEFT JOIN stages USING (order_key);

-- name: no_mode
SELECT count(*) FILTER (WHERE no_mode) FROM cohort;

-- name: left_out
-- Events of the period that are in no order, since they name none, and those of bots, probes and load tests.
SELECT event_name,
  count(*) FILTER (WHERE synthetic IS NOT TRUE AND livemode IS DISTINCT FROM (NOT getvariable('live'))
    AND coalesce(order_id, journey_id, session_id, payment_intent_id) IS NULL),
  count(*) FILTER (WHERE synthetic)
FROM event
WHERE event_name IN ('design.started', 'design.approved', 'checkout.start', 'checkout.session_created', 'order.paid',
    'checkout.payment_failed', 'checkout.expired')
  AND time_ns >= getvariable('since_ns') AND time_ns < getvariable('until_ns')
GROUP BY 1 ORDER BY 1;
