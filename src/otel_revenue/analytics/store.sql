-- The local database: its tables, and how rows get in. Times are nanoseconds since the epoch, UTC.

-- name: set_checkpoint
SET checkpoint_threshold = $size;

-- name: create_meta
CREATE TABLE IF NOT EXISTS meta (layout INTEGER NOT NULL);

-- name: first_layout
INSERT INTO meta SELECT $layout WHERE NOT EXISTS (FROM meta);

-- name: layout
SELECT max(layout) FROM meta;

-- name: create_event
-- One row per event, however often it was delivered.
CREATE TABLE IF NOT EXISTS event (
  key UHUGEINT PRIMARY KEY,          -- MD5 of event name and event_id
  event_name VARCHAR NOT NULL,
  event_id VARCHAR,
  time_ns BIGINT NOT NULL,           -- when it happened; for payments Stripe's clock
  observed_ns BIGINT NOT NULL,       -- when it was learnt; of copies the last
  received_ns BIGINT NOT NULL,       -- when it reached this database for the first time
  trace_id VARCHAR,
  span_id VARCHAR,
  service VARCHAR,
  order_id VARCHAR,
  journey_id VARCHAR,
  tier VARCHAR,
  currency VARCHAR,
  country VARCHAR,
  surface VARCHAR,
  livemode BOOLEAN,
  synthetic BOOLEAN,
  amount_minor BIGINT,
  payment_kind VARCHAR,
  session_id VARCHAR,                -- Stripe's id of the Checkout Session
  payment_intent_id VARCHAR,
  disagreed BOOLEAN NOT NULL,        -- copies of it named different amounts
  attributes VARCHAR NOT NULL        -- all of them, as a JSON object
);

-- name: create_span
CREATE TABLE IF NOT EXISTS span (
  key UHUGEINT PRIMARY KEY,          -- MD5 of trace id and span id
  trace_id VARCHAR NOT NULL,
  span_id VARCHAR NOT NULL,
  parent_id VARCHAR,
  name VARCHAR NOT NULL,
  kind VARCHAR,                      -- INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER
  start_ns BIGINT NOT NULL,
  end_ns BIGINT NOT NULL,
  status VARCHAR,                    -- OK, ERROR; NULL when unset
  service VARCHAR,
  order_id VARCHAR,
  attributes VARCHAR NOT NULL,       -- JSON object
  links VARCHAR NOT NULL,            -- JSON array of {trace_id, span_id, attributes}
  events VARCHAR NOT NULL            -- JSON array of {name, time_ns, attributes}
);

-- name: create_counter
-- What arrived and is not kept.
CREATE TABLE IF NOT EXISTS counter (name VARCHAR PRIMARY KEY, value BIGINT NOT NULL);

-- name: stage_events
-- The rows of one write, typed. An amount that is no integer, a flag that is none, is NULL: nothing is guessed from text.
-- An event without event_id is recognised again by all of its content.
CREATE OR REPLACE TEMP TABLE stage AS
SELECT
  md5_number(concat_ws(chr(31), n, coalesce(x.event_id, concat_ws(chr(31), '', t, i, s, a)))) AS key,
  n AS event_name, x.event_id AS event_id,
  CASE WHEN t > 0 THEN t WHEN o > 0 THEN o ELSE $received_ns END AS time_ns,
  CASE WHEN o > 0 THEN o WHEN t > 0 THEN t ELSE $received_ns END AS observed_ns,
  $received_ns::BIGINT AS received_ns,
  nullif(i, '') AS trace_id, nullif(s, '') AS span_id, nullif(v, '') AS service,
  x.order_id AS order_id, x.journey_id AS journey_id, x.tier AS tier, upper(x.currency) AS currency, x.country AS country,
  x.surface AS surface,
  CASE x.livemode WHEN 'true' THEN true WHEN 'false' THEN false END AS livemode,
  CASE x.synthetic WHEN 'true' THEN true WHEN 'false' THEN false END AS synthetic,
  CASE WHEN regexp_full_match(x.amount_minor, '\d{1,19}') THEN try_cast(x.amount_minor AS BIGINT) END AS amount_minor,
  x.payment_kind AS payment_kind, x."stripe.checkout.session.id" AS session_id,
  x."stripe.payment_intent.id" AS payment_intent_id,
  false AS disagreed, a AS attributes
FROM (
  SELECT n, coalesce(t, 0) AS t, coalesce(o, 0) AS o, i, s, v, a, from_json(a, '{
    "event_id": "VARCHAR", "order_id": "VARCHAR", "journey_id": "VARCHAR", "tier": "VARCHAR", "currency": "VARCHAR",
    "country": "VARCHAR", "surface": "VARCHAR", "livemode": "JSON", "synthetic": "JSON", "amount_minor": "JSON",
    "payment_kind": "VARCHAR", "stripe.checkout.session.id": "VARCHAR", "stripe.payment_intent.id": "VARCHAR"}') AS x
  FROM read_json($file, format = 'newline_delimited', columns = {
    n: 'VARCHAR', t: 'BIGINT', o: 'BIGINT', i: 'VARCHAR', s: 'VARCHAR', v: 'VARCHAR', a: 'JSON'})
);

-- name: insert_paid
-- New payments, and what is said of them as they arrive.
INSERT INTO event SELECT * FROM stage WHERE event_name = 'order.paid' ON CONFLICT DO NOTHING
RETURNING order_id, tier, currency, amount_minor, country, payment_kind, livemode, trace_id;

-- name: insert_others
INSERT INTO event SELECT * FROM stage WHERE event_name <> 'order.paid' ON CONFLICT DO NOTHING;

-- name: rivals
-- Of the copies that were known already or came twice: the ones observed later, or of another amount; one per event, the
-- one observed last (of one moment the larger amount, so that the order of arrival means nothing).
CREATE OR REPLACE TEMP TABLE rival AS
SELECT s.*, bool_or((s.amount_minor, s.currency) IS DISTINCT FROM (e.amount_minor, e.currency)) OVER (PARTITION BY s.key) AS disagrees
FROM stage s JOIN event e USING (key)
QUALIFY row_number() OVER (PARTITION BY s.key ORDER BY s.observed_ns DESC, s.amount_minor DESC NULLS LAST, s.currency) = 1;

-- name: mark_disagreement
UPDATE event SET disagreed = true FROM rival r WHERE event.key = r.key AND r.disagrees AND NOT event.disagreed;

-- name: take_last
-- The copy observed last speaks, where it says another amount.
UPDATE event SET
  time_ns = r.time_ns, tier = r.tier, currency = r.currency, country = r.country, surface = r.surface, livemode = r.livemode,
  synthetic = r.synthetic, amount_minor = r.amount_minor, payment_kind = r.payment_kind, order_id = r.order_id,
  journey_id = r.journey_id, session_id = r.session_id, payment_intent_id = r.payment_intent_id, attributes = r.attributes
FROM rival r
WHERE event.key = r.key AND r.disagrees AND (r.amount_minor, r.currency) IS DISTINCT FROM (event.amount_minor, event.currency)
  AND (r.observed_ns > event.observed_ns
    OR (r.observed_ns = event.observed_ns AND coalesce(r.amount_minor, -1) > coalesce(event.amount_minor, -1)));

-- name: note_last
UPDATE event SET observed_ns = r.observed_ns FROM rival r WHERE event.key = r.key AND r.observed_ns > event.observed_ns;

-- name: insert_spans
INSERT INTO span
SELECT md5_number(concat_ws(chr(31), i, s)), i, s, nullif(p, ''), n, nullif(k, ''), coalesce(b, 0), coalesce(e, 0),
  nullif(c, ''), nullif(v, ''), a ->> '$.order_id', a, l, x
FROM read_json($file, format = 'newline_delimited', columns = {
  i: 'VARCHAR', s: 'VARCHAR', p: 'VARCHAR', n: 'VARCHAR', k: 'VARCHAR', b: 'BIGINT', e: 'BIGINT', c: 'VARCHAR', v: 'VARCHAR',
  a: 'JSON', l: 'JSON', x: 'JSON'})
ON CONFLICT DO NOTHING;

-- name: count
INSERT INTO counter VALUES ($name, $more) ON CONFLICT DO UPDATE SET value = counter.value + excluded.value;
