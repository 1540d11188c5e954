-- What is metered at the end of the quarter: feeders, DTs and consumers.
-- From: nodes, meters and connections as they stood then. Boundary meters stand on no side.
-- Gives: a row each of feeders, DTs and consumers.
-- Source: DOMAIN section 8.
, metered AS (
    SELECT DISTINCT node_id, role
    FROM meters_as_of($then, $as_of)
    WHERE role IN ('feeder', 'dt')
),
places AS (
    SELECT scope.node_id, 'Feeders' AS what, 1 AS line, metered.node_id IS NOT NULL AS is_metered
    FROM scope
    LEFT JOIN metered ON metered.node_id = scope.node_id AND metered.role = 'feeder'
    WHERE scope.kind = 'feeder'
    UNION ALL
    SELECT network.node_id, 'DTs' AS what, 2 AS line, metered.node_id IS NOT NULL AS is_metered
    FROM network
    JOIN scope ON scope.node_id = network.parent_id AND scope.kind = 'feeder'
    LEFT JOIN metered ON metered.node_id = network.node_id AND metered.role = 'dt'
    WHERE network.kind = 'dt'
    UNION ALL
    SELECT placed.consumer_id, 'Consumers' AS what, 3 AS line, placed.metering <> 'unmetered' AS is_metered
    FROM placed
    JOIN feeder_of ON feeder_of.node_id = placed.node_id
    JOIN scope ON scope.node_id = feeder_of.feeder_id
    WHERE placed.is_served AND placed.month = $last_month
)
SELECT
    what,
    COUNT(*) AS total,
    SUM(CASE WHEN is_metered THEN 1 ELSE 0 END) AS metered,
    SUM(CASE WHEN is_metered THEN 0 ELSE 1 END) AS unmetered,
    ROUND(100.0 * SUM(CASE WHEN is_metered THEN 1 ELSE 0 END) / COUNT(*), 1) AS metered_pct
FROM places
GROUP BY line, what
ORDER BY line
