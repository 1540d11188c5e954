-- Energy accounts of the report's node, by month and over the quarter.
-- From: accounts (see above).
-- Gives: a row each month, and one of the quarter.
-- Source: DOMAIN section 8.
SELECT
    month,
    input_kwh,
    billed_kwh,
    billing_efficiency_pct,
    billed_inr,
    collected_inr,
    collection_efficiency_pct,
    atc_pct,
    energy_pct,
    bills_pct,
    status
FROM accounts
WHERE node_id = $node
ORDER BY month NULLS LAST
