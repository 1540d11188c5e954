-- The nodes directly below the report's node, in the month.
-- From: accounts (see above), node_balance_daily, reliability_monthly (consumer-based, major event days included), owed (see above).
-- A month without interruptions has no row of indices and counts as zero where the node's meters owed reads at all.
-- Gives: a row each node below.
-- Source: DOMAIN sections 2, 5, 6 and 8; which figures: house choice.
, losses AS (
    SELECT node_id, SUM(total_loss_wh) AS loss_wh, SUM(injected_where_known_wh) AS injected_wh
    FROM node_balance_daily_as_of($as_of)
    WHERE day BETWEEN $first_day AND $last_day
    GROUP BY 1
),
indices AS (
    SELECT node_id, saifi, saidi_minutes
    FROM reliability_monthly_as_of($as_of)
    WHERE month = $month AND basis = 'consumer' AND med = 'included'
),
heard AS (
    SELECT node_id, SUM(expected) AS expected
    FROM read_completeness_as_of($as_of)
    WHERE day BETWEEN $first_day AND $last_day
    GROUP BY 1
),
owed_below AS (
    SELECT closure.top_id AS node_id, SUM(owed.amount_inr) AS amount_inr
    FROM owed
    JOIN closure ON closure.node_id = owed.feeder_id
    WHERE owed.month = $month
    GROUP BY 1
)
SELECT
    scope.name AS node,
    scope.node_id,
    accounts.consumer_months AS consumers,
    accounts.input_kwh,
    CASE
        WHEN accounts.energy_pct >= $coverage_pct AND losses.injected_wh > 0
            THEN ROUND(100.0 * losses.loss_wh / losses.injected_wh, 2)
    END AS loss_pct,
    accounts.billed_kwh,
    accounts.billed_inr,
    accounts.collected_inr,
    accounts.atc_pct,
    CASE WHEN heard.expected > 0 OR indices.saifi IS NOT NULL THEN ROUND(COALESCE(indices.saifi, 0), 3) END AS saifi,
    CASE
        WHEN heard.expected > 0 OR indices.saidi_minutes IS NOT NULL THEN ROUND(COALESCE(indices.saidi_minutes, 0), 1)
    END AS saidi_minutes,
    COALESCE(owed_below.amount_inr, 0) AS owed_inr,
    accounts.energy_pct,
    accounts.status
FROM scope
LEFT JOIN accounts ON accounts.node_id = scope.node_id AND accounts.month = $month
LEFT JOIN losses ON losses.node_id = scope.node_id
LEFT JOIN indices ON indices.node_id = scope.node_id
LEFT JOIN heard ON heard.node_id = scope.node_id
LEFT JOIN owed_below ON owed_below.node_id = scope.node_id
WHERE scope.depth = 1
ORDER BY scope.name, scope.node_id
