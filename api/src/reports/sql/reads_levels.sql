-- Arrival of interval reads in the period, of the nodes directly below the report's node.
-- From: read_completeness. Source of the levels: AMISP model bidding document (DOMAIN section 3): 95 per cent within 8 h of the
-- day's end, 98 per cent within 12 h. A day meets a level when its own share does.
-- Gives: a row each node below.
-- Source: house choice: whose report it is.
SELECT
    scope.name AS node,
    scope.node_id,
    COUNT(reads.day) AS days,
    SUM(reads.expected) AS expected,
    ROUND(100.0 * SUM(reads.by_8h) / NULLIF(SUM(reads.expected), 0), 2) AS by_8h_pct,
    ROUND(100.0 * SUM(reads.by_12h) / NULLIF(SUM(reads.expected), 0), 2) AS by_12h_pct,
    ROUND(100.0 * SUM(reads.by_24h) / NULLIF(SUM(reads.expected), 0), 2) AS by_24h_pct,
    SUM(CASE WHEN 100.0 * reads.by_8h >= $level_8h * reads.expected THEN 1 ELSE 0 END) AS days_8h_met,
    SUM(CASE WHEN 100.0 * reads.by_12h >= $level_12h * reads.expected THEN 1 ELSE 0 END) AS days_12h_met,
    SUM(reads.later) AS later,
    SUM(reads.estimated) AS estimated,
    SUM(reads.missing) AS missing
FROM scope
LEFT JOIN (
    SELECT * FROM read_completeness_as_of($as_of) WHERE day BETWEEN $first_day AND $last_day AND expected > 0
) AS reads ON reads.node_id = scope.node_id
WHERE scope.depth = 1
GROUP BY 1, 2
ORDER BY 1, 2
