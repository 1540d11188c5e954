-- Arrival of interval reads of the report's node over the month, against each service level.
-- From: read_completeness. Source of the levels: AMISP model bidding document (DOMAIN section 3): 95 per cent within 8 h of the
-- day's end, 98 per cent within 12 h; for 24 h no level is set. A day meets a level when its own share does.
-- Gives: a row each service level.
-- Source: house choice: whose report it is.
WITH reads AS (
    SELECT * FROM read_completeness_as_of($as_of)
    WHERE node_id = $node AND day BETWEEN $first_day AND $last_day AND expected > 0
),
levels AS (
    SELECT
        named.line,
        named.level,
        CASE named.line WHEN 1 THEN CAST($level_8h AS DOUBLE) WHEN 2 THEN CAST($level_12h AS DOUBLE) END AS required_pct,
        reads.expected,
        CASE named.line WHEN 1 THEN reads.by_8h WHEN 2 THEN reads.by_12h ELSE reads.by_24h END AS came
    FROM reads
    CROSS JOIN (
        VALUES
            (1, 'within 8 h of the end of the day'),
            (2, 'within 12 h'),
            (3, 'within 24 h')
    ) AS named (line, level)
)
SELECT
    level,
    required_pct,
    SUM(expected) AS expected,
    SUM(came) AS came,
    ROUND(100.0 * SUM(came) / NULLIF(SUM(expected), 0), 2) AS came_pct,
    COUNT(*) AS days,
    CASE
        WHEN MAX(required_pct) IS NOT NULL
            THEN SUM(CASE WHEN 100.0 * came >= required_pct * expected THEN 1 ELSE 0 END)
    END AS days_met
FROM levels
GROUP BY line, level, required_pct
ORDER BY line
