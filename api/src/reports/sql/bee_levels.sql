-- Energy accounts of the quarter, of every node of one kind ($kind) at or below the report's node.
-- From: accounts (see above).
-- Gives: a row each node.
-- Source: DOMAIN section 8.
SELECT
    scope.name AS node,
    scope.node_id,
    accounts.input_kwh,
    accounts.billed_kwh,
    accounts.billing_efficiency_pct,
    accounts.billed_inr,
    accounts.collected_inr,
    accounts.collection_efficiency_pct,
    accounts.atc_pct,
    accounts.energy_pct,
    accounts.bills_pct,
    accounts.status
FROM scope
LEFT JOIN accounts ON accounts.node_id = scope.node_id AND accounts.month IS NULL
WHERE scope.kind = $kind
ORDER BY scope.name, scope.node_id
