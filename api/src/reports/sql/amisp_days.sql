-- Arrival of interval reads of each day of the month, of the nodes $depth levels below the report's node (0: itself).
-- From: read_completeness. Source of the levels: AMISP model bidding document (DOMAIN section 3): 95 per cent within 8 h of the
-- day's end, 98 per cent within 12 h.
-- Gives: a row each node and day.
-- Source: house choice: whose report it is.
SELECT
    scope.name AS node,
    scope.node_id,
    reads.day,
    reads.expected,
    ROUND(100.0 * reads.by_8h / reads.expected, 2) AS by_8h_pct,
    ROUND(100.0 * reads.by_12h / reads.expected, 2) AS by_12h_pct,
    ROUND(100.0 * reads.by_24h / reads.expected, 2) AS by_24h_pct,
    CASE
        WHEN 100.0 * reads.by_8h < $level_8h * reads.expected AND 100.0 * reads.by_12h < $level_12h * reads.expected
            THEN '8 h and 12 h missed'
        WHEN 100.0 * reads.by_8h < $level_8h * reads.expected THEN '8 h missed'
        WHEN 100.0 * reads.by_12h < $level_12h * reads.expected THEN '12 h missed'
        ELSE 'met'
    END AS level,
    reads.later,
    reads.estimated,
    reads.missing
FROM scope
JOIN read_completeness_as_of($as_of) AS reads ON reads.node_id = scope.node_id
WHERE scope.depth = $depth AND reads.day BETWEEN $first_day AND $last_day AND reads.expected > 0
ORDER BY scope.name, scope.node_id, reads.day
