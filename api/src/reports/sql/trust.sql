-- How far the figures of a report can be trusted: what should be there, and what is.
-- From: node_balance_daily of the feeders and read_completeness of the node, in the period; connections and billing of its months.
-- A feeder's day is known by the share of its intervals whose input and loss are known; a day without any balance counts as not known.
-- Gives: a line each of what is expected and what of it is known.
-- Source: DOMAIN section 2: a figure without its coverage is worthless.
, feeder_days AS (
    SELECT
        COUNT(*) AS with_balance,
        SUM(CAST(intervals_computed AS DOUBLE) / CAST(NULLIF(intervals_expected, 0) AS DOUBLE)) AS known,
        SUM(CASE WHEN status = 'provisional' THEN 1 ELSE 0 END) AS provisional,
        SUM(CASE WHEN status = 'restated' THEN 1 ELSE 0 END) AS restated
    FROM node_balance_daily_as_of($as_of) AS daily
    JOIN scope ON scope.node_id = daily.node_id AND scope.kind = 'feeder'
    WHERE daily.day BETWEEN $first_day AND $last_day
),
reads AS (
    SELECT
        SUM(expected) AS expected,
        SUM(by_24h + later) AS came,
        SUM(estimated) AS estimated,
        SUM(missing) AS missing
    FROM read_completeness_as_of($as_of)
    WHERE node_id = $node AND day BETWEEN $first_day AND $last_day
),
consumers AS (
    SELECT
        COUNT(*) AS placed,
        COUNT(billing.consumer_id) AS billed
    FROM placed
    JOIN feeder_of ON feeder_of.node_id = placed.node_id
    JOIN scope ON scope.node_id = feeder_of.feeder_id
    LEFT JOIN billing_as_of($as_of) AS billing
        ON billing.consumer_id = placed.consumer_id AND billing.month = placed.month
),
due AS (
    SELECT COUNT(*) * $days AS feeder_days
    FROM scope
    WHERE kind = 'feeder'
)
SELECT
    lines.line,
    lines.figure,
    lines.unit,
    CASE lines.line
        WHEN 1 THEN CAST(due.feeder_days AS DOUBLE)
        WHEN 2 THEN ROUND(100.0 * COALESCE(feeder_days.known, 0) / NULLIF(due.feeder_days, 0), 1)
        WHEN 3 THEN CAST(COALESCE(feeder_days.provisional, 0) AS DOUBLE)
        WHEN 4 THEN CAST(COALESCE(feeder_days.restated, 0) AS DOUBLE)
        WHEN 5 THEN CAST(reads.expected AS DOUBLE)
        WHEN 6 THEN ROUND(100.0 * reads.came / NULLIF(reads.expected, 0), 2)
        WHEN 7 THEN ROUND(100.0 * reads.estimated / NULLIF(reads.expected, 0), 2)
        WHEN 8 THEN ROUND(100.0 * reads.missing / NULLIF(reads.expected, 0), 2)
        WHEN 9 THEN CAST(consumers.placed AS DOUBLE)
        WHEN 10 THEN ROUND(100.0 * consumers.billed / NULLIF(consumers.placed, 0), 1)
    END AS value
FROM (
    VALUES
        (1, 'Feeder-days in the period', 'count'),
        (2, 'of them with input energy and loss known', '%'),
        (3, 'of them provisional: late reads may still change them', 'count'),
        (4, 'of them restated after they were final', 'count'),
        (5, 'Interval reads expected', 'count'),
        (6, 'of them came', '%'),
        (7, 'of them estimated', '%'),
        (8, 'of them missing', '%'),
        (9, 'Consumers to be billed, summed over the months', 'count'),
        (10, 'of them billed', '%')
) AS lines (line, figure, unit)
CROSS JOIN feeder_days
CROSS JOIN reads
CROSS JOIN consumers
CROSS JOIN due
ORDER BY lines.line
