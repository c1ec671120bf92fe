-- The ledger's statements for SQLite. Each begins with its name and is found by it.

-- name: schema_1
-- Payments (groups), the ids that lead to them, the outbox, and what each destination has done with it.
CREATE TABLE payment (
  id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used again: a twin's pointer must not lead to a stranger
  doc TEXT NOT NULL,                 -- all that is known, as JSON
  recorded_ns INTEGER NOT NULL,      -- 0: not recorded
  due_ns INTEGER NOT NULL,           -- 0: nothing waits to be recorded
  soft_key TEXT,
  soft_ns INTEGER NOT NULL,
  twin INTEGER NOT NULL,             -- 0: none
  touched_ns INTEGER NOT NULL
);
CREATE INDEX payment_due ON payment (due_ns) WHERE due_ns > 0;
CREATE INDEX payment_soft ON payment (soft_key, soft_ns) WHERE soft_key IS NOT NULL;
CREATE INDEX payment_touched ON payment (touched_ns);
CREATE TABLE alias (
  kind TEXT NOT NULL,
  account TEXT NOT NULL,
  id TEXT NOT NULL,
  truncated INTEGER NOT NULL,        -- 1: the id is known to be cut
  payment_id INTEGER NOT NULL,
  PRIMARY KEY (kind, account, id, truncated)
) WITHOUT ROWID;
CREATE INDEX alias_payment ON alias (payment_id);
CREATE TABLE outbox (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  event_id TEXT NOT NULL,
  event_name TEXT NOT NULL,
  record BLOB NOT NULL,              -- one encoded OTLP LogRecord, frozen
  recorded_ns INTEGER NOT NULL,
  amount_minor INTEGER NOT NULL,
  currency TEXT NOT NULL
);
CREATE UNIQUE INDEX outbox_event ON outbox (event_id, event_name);
CREATE TABLE delivery (
  seq INTEGER NOT NULL,
  destination TEXT NOT NULL,
  state TEXT NOT NULL,               -- later, aside, done
  attempts INTEGER NOT NULL,
  not_before_ns INTEGER NOT NULL,
  lease_ns INTEGER NOT NULL,         -- held by a process until then
  reason TEXT NOT NULL,
  PRIMARY KEY (seq, destination)
) WITHOUT ROWID;
CREATE TABLE unread (
  id INTEGER PRIMARY KEY,
  at_ns INTEGER NOT NULL,
  source TEXT NOT NULL,
  kind TEXT NOT NULL,
  reason TEXT NOT NULL,
  ids TEXT NOT NULL
);

-- name: order_table
-- What was said of orders before their payment. Beside the layout: programs that do not know it are not disturbed by it.
CREATE TABLE IF NOT EXISTS order_said (
  kind TEXT NOT NULL,                -- by what it is known: order_id, journey_id
  key TEXT NOT NULL,
  doc TEXT NOT NULL,                 -- candidates, as JSON
  touched_ns INTEGER NOT NULL,
  PRIMARY KEY (kind, key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS order_said_touched ON order_said (kind, touched_ns);

-- name: has_order_table
SELECT 1 FROM sqlite_master WHERE type = 'index' AND name = 'order_said_touched';

-- name: recall
SELECT doc FROM order_said WHERE kind = ? AND key = ?;

-- name: remember
INSERT INTO order_said (kind, key, doc, touched_ns) VALUES (?, ?, ?, ?)
ON CONFLICT (kind, key) DO UPDATE SET doc = excluded.doc, touched_ns = excluded.touched_ns;

-- name: trim_orders
-- Of each kind the newest stay, as many as may be, and none older than a payment would be.
DELETE FROM order_said WHERE kind = :kind AND touched_ns <= max(:before, coalesce(
  (SELECT touched_ns FROM order_said WHERE kind = :kind ORDER BY touched_ns DESC LIMIT 1 OFFSET :most), 0));

-- name: drop_oldest_orders
DELETE FROM order_said WHERE (kind, key) IN (SELECT kind, key FROM order_said ORDER BY touched_ns LIMIT 2000);

-- name: group_by_alias
-- The group that holds one full id.
SELECT p.id, p.doc FROM alias a JOIN payment p ON p.id = a.payment_id
WHERE a.kind = ? AND a.account = ? AND a.id = ? AND a.truncated = 0;

-- name: group_by_alias_or_its_cut
-- The same, and the group that holds exactly the cut form of the id; an OR would build a table for it each time.
SELECT p.id, p.doc, 0 FROM alias a JOIN payment p ON p.id = a.payment_id
WHERE a.kind = ?1 AND a.account = ?2 AND a.id = ?3 AND a.truncated = 0
UNION ALL
SELECT p.id, p.doc, 1 FROM alias a JOIN payment p ON p.id = a.payment_id
WHERE a.kind = ?1 AND a.account = ?2 AND a.id = ?4 AND a.truncated = 1;

-- name: group_by_truncated
-- The group that holds exactly this cut id.
SELECT p.id, p.doc FROM alias a JOIN payment p ON p.id = a.payment_id
WHERE a.kind = ? AND a.account = ? AND a.id = ? AND a.truncated = 1;

-- name: full_ids_beginning
-- Groups of full ids that begin with a cut one; two are enough to know that it is ambiguous.
SELECT DISTINCT p.id, p.doc FROM alias a JOIN payment p ON p.id = a.payment_id
WHERE a.kind = ? AND a.account = ? AND a.id >= ? AND a.id < ? AND a.truncated = 0 LIMIT 2;

-- name: group_by_number
SELECT id, doc FROM payment WHERE id = ?;

-- name: soft_candidates
-- Groups of one soft key, near in time, that have no twin yet.
SELECT id, doc FROM payment WHERE soft_key = ? AND soft_ns BETWEEN ? AND ? AND twin = 0 ORDER BY id LIMIT 50;

-- name: due_groups
-- Groups whose hold is over, the longest waiting first.
SELECT id, doc FROM payment WHERE due_ns > 0 AND due_ns <= ? ORDER BY due_ns LIMIT ?;

-- name: next_due
SELECT min(due_ns) FROM payment WHERE due_ns > 0;

-- name: insert_group
INSERT INTO payment (doc, recorded_ns, due_ns, soft_key, soft_ns, twin, touched_ns, id) VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- name: last_number
-- Kept beside the table, so that the number of a payment that is gone does not come again.
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'payment'), 0);

-- name: update_group
UPDATE payment SET doc = ?, recorded_ns = ?, due_ns = ?, soft_key = ?, soft_ns = ?, twin = ?, touched_ns = ? WHERE id = ?;

-- name: put_alias
-- An id belongs to one group: the one that named it last.
INSERT INTO alias (kind, account, id, truncated, payment_id) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (kind, account, id, truncated) DO UPDATE SET payment_id = excluded.payment_id;

-- name: drop_group
DELETE FROM payment WHERE id = ?;

-- name: drop_aliases
DELETE FROM alias WHERE payment_id = ?;

-- name: add_row
-- A fact that was recorded before is not recorded again.
INSERT INTO outbox (event_id, event_name, record, recorded_ns, amount_minor, currency) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (event_id, event_name) DO NOTHING;

-- name: row_by_event
SELECT seq FROM outbox WHERE event_id = ? AND event_name = ?;

-- name: add_unread
INSERT INTO unread (at_ns, source, kind, reason, ids) VALUES (?, ?, ?, ?, ?);

-- name: trim_unread
-- The newest 10 000 notes are kept: a flood of malformed bodies must not fill the disk.
DELETE FROM unread WHERE id <= (SELECT max(id) FROM unread) - 10000;

-- name: list_unread
SELECT id, at_ns, source, kind, reason, ids FROM unread ORDER BY id DESC LIMIT ?;

-- name: due_rows
-- What one destination may send now, oldest first. A time further ahead than one is ever chosen means that the clock was
-- set back: it is over.
SELECT o.seq, o.event_id, o.event_name, o.record, o.recorded_ns, coalesce(d.attempts, 0), coalesce(d.state, 'later'),
       coalesce(d.not_before_ns, 0), coalesce(d.reason, ''), o.amount_minor, o.currency
FROM outbox o LEFT JOIN delivery d ON d.seq = o.seq AND d.destination = :destination
WHERE d.seq IS NULL OR (d.state = 'later'
  AND (d.not_before_ns <= :now OR d.not_before_ns > :now + :longest_wait)
  AND (d.lease_ns <= :now OR d.lease_ns > :now + :longest_lease))
ORDER BY o.seq LIMIT :limit;

-- name: lease
INSERT INTO delivery (seq, destination, state, attempts, not_before_ns, lease_ns, reason) VALUES (?, ?, 'later', 0, 0, ?, '')
ON CONFLICT (seq, destination) DO UPDATE SET lease_ns = excluded.lease_ns;

-- name: settle
-- Of a row that is still there; what is done stays done: a process whose lease ran out may come late.
INSERT INTO delivery (seq, destination, state, attempts, not_before_ns, lease_ns, reason)
SELECT seq, ?, ?, ?, ?, 0, ? FROM outbox WHERE seq = ?
ON CONFLICT (seq, destination) DO UPDATE SET state = excluded.state, attempts = attempts + excluded.attempts,
  not_before_ns = excluded.not_before_ns, lease_ns = 0, reason = excluded.reason WHERE state <> 'done';

-- name: refused
-- By a destination that got the event on another way than from here.
INSERT INTO delivery (seq, destination, state, attempts, not_before_ns, lease_ns, reason) VALUES (?, ?, 'aside', 1, 0, 0, ?)
ON CONFLICT (seq, destination) DO UPDATE SET state = 'aside', attempts = attempts + 1, lease_ns = 0, reason = excluded.reason;

-- name: done_elsewhere
INSERT INTO delivery (seq, destination, state, attempts, not_before_ns, lease_ns, reason) VALUES (?, ?, 'done', 0, 0, 0, '')
ON CONFLICT (seq, destination) DO NOTHING;

-- name: done_by
SELECT destination FROM delivery WHERE seq = ? AND state = 'done';

-- name: all_rows_settled
-- Rows that somebody has done: where the others are no longer configured, nobody else will remove them.
SELECT DISTINCT seq FROM delivery WHERE state = 'done' ORDER BY seq LIMIT 10000;

-- name: drop_row
DELETE FROM outbox WHERE seq = ?;

-- name: drop_deliveries
DELETE FROM delivery WHERE seq = ?;

-- name: open_rows
-- What one destination has not done, for people.
SELECT o.seq, o.event_id, o.event_name, o.record, o.recorded_ns, coalesce(d.attempts, 0), coalesce(d.state, 'later') AS state,
       coalesce(d.not_before_ns, 0), coalesce(d.reason, ''), o.amount_minor, o.currency
FROM outbox o LEFT JOIN delivery d ON d.seq = o.seq AND d.destination = :destination
WHERE coalesce(d.state, 'later') <> 'done' AND (:state IS NULL OR coalesce(d.state, 'later') = :state)
ORDER BY o.seq LIMIT :limit;

-- name: retry
UPDATE delivery SET state = 'later', not_before_ns = 0, lease_ns = 0 WHERE seq = ? AND destination = ? AND state = 'aside';

-- name: pending
-- What waits for one destination, by state and currency; sums in two halves, as one could pass 64 bits.
SELECT coalesce(d.state, 'later') AS state, o.currency, count(*), min(o.recorded_ns),
       sum(o.amount_minor >> 32), sum(o.amount_minor & 4294967295)
FROM outbox o LEFT JOIN delivery d ON d.seq = o.seq AND d.destination = ?
WHERE coalesce(d.state, 'later') <> 'done' GROUP BY 1, 2;

-- name: waiting_bytes
SELECT coalesce(sum(length(record) + 200), 0) FROM outbox;

-- name: stats
SELECT count(*), count(*) FILTER (WHERE recorded_ns > 0), count(*) FILTER (WHERE due_ns > 0) FROM payment;

-- name: prunable
-- Payments that nobody has touched since, oldest first; those on hold are not among them, nor those whose twin is.
SELECT p.id, p.twin, length(p.doc) FROM payment p WHERE p.touched_ns < :before AND p.due_ns = 0
AND NOT EXISTS (SELECT 1 FROM payment t WHERE t.id = p.twin AND (t.touched_ns >= :before OR t.due_ns > 0))
ORDER BY p.touched_ns, p.id LIMIT :limit;

-- name: payments_naming
-- What holds a word, for whoever removes what is held about an order: reads everything.
SELECT id, doc FROM payment WHERE instr(doc, ?) > 0;

-- name: said_naming
SELECT kind, key, doc FROM order_said WHERE key = ? OR instr(doc, ?) > 0;

-- name: events_naming
SELECT seq, record FROM outbox WHERE instr(record, ?) > 0;

-- name: notes_naming
SELECT id, ids FROM unread WHERE instr(ids, ?) > 0;

-- name: drop_said
DELETE FROM order_said WHERE kind = ? AND key = ?;

-- name: drop_unread
DELETE FROM unread WHERE id = ?;
