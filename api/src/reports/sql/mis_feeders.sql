-- The ten feeders below the report's node with the most energy not billed in the month.
-- From: accounts (see above); feeder_revenue_monthly (FRAMES: rupees by which the revenue billed stays below its target).
-- A feeder whose input or bills are not known well enough has no place here.
-- Gives: at most ten rows, the most energy first.
-- Source: DOMAIN sections 7 and 8; ten: house choice.
SELECT
    scope.name AS node,
    scope.node_id,
    accounts.input_kwh,
    accounts.billed_kwh,
    accounts.input_kwh - accounts.billed_kwh AS not_billed_kwh,
    accounts.billing_efficiency_pct,
    accounts.collection_efficiency_pct,
    accounts.atc_pct,
    revenue.deviation_inr,
    accounts.energy_pct,
    accounts.status
FROM scope
JOIN accounts ON accounts.node_id = scope.node_id AND accounts.month = $month
LEFT JOIN feeder_revenue_monthly_as_of($as_of) AS revenue
    ON revenue.feeder_id = scope.node_id AND revenue.month = $month
WHERE scope.kind = 'feeder' AND accounts.billing_efficiency_pct IS NOT NULL
ORDER BY not_billed_kwh DESC, scope.node_id
LIMIT 10
