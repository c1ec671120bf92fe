-- Orders out of events: which events belong to one order, and when it reached each stage. Run in this order, in one
-- transaction, over one consistent view of the data; the numbers are taken from the tables made here.
-- `arg_min(x, {time, x})`: the earliest; of one moment the smallest, so that the order of arrival means nothing.
-- Variables: live (BOOLEAN), since_ns, until_ns (half-open), window_ns, now_ns. Definitions in words: docs/dashboard.md.

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

-- name: base_own
-- An order_id of the shop's. Where it has none, Stripe's id of the Session or PaymentIntent stands in its place.
CREATE OR REPLACE TEMP MACRO own(order_id, session_id, intent_id) AS
  CASE WHEN order_id IS DISTINCT FROM session_id AND order_id IS DISTINCT FROM intent_id THEN order_id END;

-- name: base_session
-- A Session belongs to the order of the first event that knows both. Asked for events that know the Session alone.
CREATE OR REPLACE TEMP TABLE session AS
SELECT session_id, arg_min(own_id, {'t': time_ns, 'v': own_id}) AS known_as
FROM (
  SELECT session_id, time_ns, own(order_id, session_id, payment_intent_id) AS own_id FROM event
  WHERE session_id IS NOT NULL AND synthetic IS NOT TRUE)
WHERE own_id IS NOT NULL AND session_id IN (
  SELECT session_id FROM event WHERE session_id IS NOT NULL AND own(order_id, session_id, payment_intent_id) IS NULL)
GROUP BY 1;

-- name: base_intent
-- A PaymentIntent belongs to the order, else to the Session, of the first event that knows both.
CREATE OR REPLACE TEMP TABLE intent AS
SELECT payment_intent_id, coalesce(
  arg_min(own_id, {'t': time_ns, 'v': own_id}) FILTER (WHERE own_id IS NOT NULL),
  arg_min(at_session, {'t': time_ns, 'v': at_session}) FILTER (WHERE at_session IS NOT NULL)) AS known_as
FROM (
  SELECT e.payment_intent_id, e.time_ns, own(e.order_id, e.session_id, e.payment_intent_id) AS own_id,
    coalesce(s.known_as, e.session_id) AS at_session
  FROM event e LEFT JOIN session s ON s.session_id = e.session_id
  WHERE e.synthetic IS NOT TRUE AND e.payment_intent_id IN (
    SELECT payment_intent_id FROM event
    WHERE payment_intent_id IS NOT NULL AND session_id IS NULL AND own(order_id, session_id, payment_intent_id) IS NULL))
GROUP BY 1;

-- name: base_named
-- Every event with the name of its order, as far as its own ids and Stripe's tell it; synthetic traffic is out. Only who has
-- no order_id is looked up.
CREATE OR REPLACE TEMP MACRO named() AS TABLE
SELECT e.*, coalesce(e.own_id, s.known_as, i.known_as, e.session_id, e.payment_intent_id, e.order_id) AS name
FROM (SELECT *, own(order_id, session_id, payment_intent_id) AS own_id FROM event WHERE synthetic IS NOT TRUE) e
LEFT JOIN session s ON s.session_id = CASE WHEN e.own_id IS NULL THEN e.session_id END
LEFT JOIN intent i ON i.payment_intent_id = CASE WHEN e.own_id IS NULL THEN e.payment_intent_id END;

-- name: base_journey
-- A buying attempt gets its order from the first event that knows both. Asked for events that know the attempt alone.
CREATE OR REPLACE TEMP TABLE journey AS
SELECT journey_id, arg_min(name, {'t': time_ns, 'v': name}) FILTER (WHERE name IS NOT NULL) AS known_as FROM named()
WHERE journey_id IS NOT NULL
GROUP BY 1 HAVING bool_or(name IS NULL) AND bool_or(name IS NOT NULL);

-- name: base_keyed
-- Every event with the key of its order; NULL where it names neither order nor journey. A payment is an order by itself then.
CREATE OR REPLACE TEMP MACRO keyed() AS TABLE
SELECT e.*, coalesce(e.name, j.known_as, 'journey:' || e.journey_id,
  CASE WHEN e.event_name = 'order.paid' THEN 'event:' || e.key END) AS order_key
FROM named() e LEFT JOIN journey j ON j.journey_id = CASE WHEN e.name IS NULL THEN e.journey_id END;

-- name: base_paid
-- One row per payment of the asked mode. The store has one row per (event name, event_id) already.
CREATE OR REPLACE TEMP TABLE paid AS
SELECT order_key, time_ns, currency, amount_minor, coalesce(payment_kind, 'unknown') AS payment_kind,
  tier, coalesce(country, 'unknown') AS country, coalesce(surface, 'unknown') AS surface
FROM keyed()
WHERE event_name = 'order.paid' AND livemode = getvariable('live')
  AND amount_minor IS NOT NULL AND regexp_full_match(currency, '[A-Z]{3}')
  AND time_ns >= getvariable('since_ns') AND time_ns < getvariable('until_ns');

-- name: base_rank
-- Ranks values by the time of their event; of one moment always in the same way. One number, as it is compared for each event.
CREATE OR REPLACE TEMP MACRO rank_of(time_ns, value) AS time_ns::HUGEINT * 18446744073709551616 + hash(value);

-- name: base_stages
-- Per order the earliest time of each stage, in whole seconds: Stripe's clock has no finer ones, and a payment must not
-- seem to come before the session of the same second. Place, country and tier are those known before the payment: taken
-- from the payment they would be known for those who paid alone, and every country would convert at 100 %.
-- An event that says no mode belongs to its order's; an order of which nothing says one is in both views. A renewal carries
-- its first order's id and is no stage of it. CASE, since FILTER costs half as much again; ENUM, since each of the comparisons
-- would be one of texts.
CREATE OR REPLACE TEMP TABLE stages AS
SELECT order_key,
  min(CASE WHEN stage = 'design.started' THEN at_s END) AS design_started_s,
  min(CASE WHEN stage = 'design.approved' THEN at_s END) AS design_approved_s,
  min(CASE WHEN stage = 'checkout.start' THEN at_s END) AS started_s,
  min(CASE WHEN stage = 'checkout.session_created' THEN at_s END) AS session_s,
  min(CASE WHEN stage = 'order.paid' THEN at_s END) AS paid_s,
  max(CASE WHEN stage = 'order.paid' THEN at_s END) AS last_paid_s,
  coalesce(arg_min(early_tier, rank_of(time_ns, early_tier)), 'unknown') AS tier,
  coalesce(arg_min(early_country, rank_of(time_ns, early_country)), 'unknown') AS country,
  coalesce(arg_min(early_surface, rank_of(time_ns, early_surface)), 'unknown') AS surface,
  bool_and(livemode IS NULL) AS no_mode
FROM (
  SELECT order_key, stage, time_ns, time_ns // 1000000000 AS at_s, livemode,
    CASE WHEN before THEN tier END AS early_tier, CASE WHEN before THEN country END AS early_country,
    CASE WHEN before THEN surface END AS early_surface
  FROM (
    SELECT *, event_name NOT IN ('order.paid', 'checkout.payment_failed', 'checkout.expired') AS before,
      try_cast(event_name AS ENUM ('design.started', 'design.approved', 'checkout.start', 'checkout.session_created',
        'order.paid', 'checkout.payment_failed', 'checkout.expired')) AS stage
    FROM keyed())
  WHERE stage IS NOT NULL
    AND payment_kind IS DISTINCT FROM 'subscription_renewal' AND order_key IS NOT NULL
    AND livemode IS DISTINCT FROM (NOT getvariable('live')))
GROUP BY 1;

-- name: base_other_mode
-- Orders that are wholly of the other mode but for events that say none.
DELETE FROM stages WHERE no_mode AND order_key IN (SELECT order_key FROM keyed() WHERE livemode = (NOT getvariable('live')));

-- name: has_starts
SELECT count(*) > 0 FROM stages WHERE started_s IS NOT NULL;

-- name: base_cohort
-- The orders whose first stage lies in the period, with how far each came. First stage: checkout.start where any event of that
-- name exists. In order: each stage within the window of the one before. Converted: paid within the window of the first.
CREATE OR REPLACE TEMP TABLE cohort AS
SELECT *, first_s + window_s > getvariable('now_ns') // 1000000000 AS young,
  has_session AND coalesce(paid_s - session_s BETWEEN 0 AND window_s, false) AS in_order,
  coalesce(paid_s - first_s BETWEEN 0 AND window_s, false) AS converted
FROM (
  SELECT *, coalesce(session_s - first_s BETWEEN 0 AND window_s, false) AS has_session
  FROM (
    SELECT *, CASE WHEN getvariable('has_starts') THEN started_s ELSE session_s END AS first_s,
      getvariable('window_ns') // 1000000000 AS window_s
    FROM stages)
  WHERE first_s >= getvariable('since_ns') // 1000000000 AND first_s < getvariable('until_ns') // 1000000000);
