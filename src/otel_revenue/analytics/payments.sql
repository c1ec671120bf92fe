-- name: totals
-- Payments of one mode over all time, per currency: what a comparison with Stripe's own books needs.
SELECT currency, count(*), sum(amount_minor) FROM event
WHERE event_name = 'order.paid' AND livemode = $live AND synthetic IS NOT TRUE
  AND amount_minor IS NOT NULL AND regexp_full_match(currency, '[A-Z]{3}')
GROUP BY 1 ORDER BY 1;
