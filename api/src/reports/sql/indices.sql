-- Reliability of each node of the report by month and over the quarter, by both counts.
-- From: reliability_monthly; $med says whether major event days are included or excluded.
-- Source: DOMAIN section 5. Feeder-based (the SoP return): SAIFI = sum(A_i N_i) / N_T, SAIDI = sum(B_i N_i) / N_T, MAIFI = sum(C_i N_i) / N_T;
-- consumer-based (IEEE 1366): the same of each consumer's own interruptions. The quarter is the sum of its months divided by the last
-- month's N_T. A month in which nothing was interrupted has no row and counts as zero, with the consumers connected at its end as N_T.
-- Gives: indices by node_id and month; month null is the quarter.
served AS (
    SELECT closure.top_id AS node_id, placed.month, COUNT(*) AS consumers
    FROM placed
    JOIN feeder_of ON feeder_of.node_id = placed.node_id
    JOIN closure ON closure.node_id = feeder_of.feeder_id
    WHERE placed.is_served
    GROUP BY 1, 2
),
counted AS (
    SELECT
        node_id,
        month,
        MAX(consumers_served) AS consumers,
        SUM(CASE WHEN basis = 'feeder' THEN customer_interruptions END) AS feeder_interruptions,
        SUM(CASE WHEN basis = 'feeder' THEN customer_minutes END) AS feeder_minutes,
        SUM(CASE WHEN basis = 'feeder' THEN momentary END) AS feeder_momentary,
        SUM(CASE WHEN basis = 'consumer' THEN customer_interruptions END) AS consumer_interruptions,
        SUM(CASE WHEN basis = 'consumer' THEN customer_minutes END) AS consumer_minutes,
        SUM(CASE WHEN basis = 'consumer' THEN momentary END) AS consumer_momentary
    FROM reliability_monthly_as_of($as_of)
    WHERE med = $med AND month BETWEEN $first_day AND $last_day
    GROUP BY 1, 2
),
by_month AS (
    SELECT
        scope.node_id,
        months.month,
        COALESCE(counted.consumers, served.consumers, 0) AS consumers,
        COALESCE(counted.feeder_interruptions, 0) AS feeder_interruptions,
        COALESCE(counted.feeder_minutes, 0) AS feeder_minutes,
        COALESCE(counted.feeder_momentary, 0) AS feeder_momentary,
        COALESCE(counted.consumer_interruptions, 0) AS consumer_interruptions,
        COALESCE(counted.consumer_minutes, 0) AS consumer_minutes,
        COALESCE(counted.consumer_momentary, 0) AS consumer_momentary
    FROM scope
    CROSS JOIN months
    LEFT JOIN counted ON counted.node_id = scope.node_id AND counted.month = months.month
    LEFT JOIN served ON served.node_id = scope.node_id AND served.month = months.month
),
spanned AS (
    SELECT
        node_id,
        month,
        consumers,
        feeder_interruptions,
        feeder_minutes,
        feeder_momentary,
        consumer_interruptions,
        consumer_minutes,
        consumer_momentary
    FROM by_month
    UNION ALL
    SELECT
        node_id,
        NULL AS month,
        SUM(CASE WHEN month = $last_month THEN consumers ELSE 0 END) AS consumers,
        SUM(feeder_interruptions) AS feeder_interruptions,
        SUM(feeder_minutes) AS feeder_minutes,
        SUM(feeder_momentary) AS feeder_momentary,
        SUM(consumer_interruptions) AS consumer_interruptions,
        SUM(consumer_minutes) AS consumer_minutes,
        SUM(consumer_momentary) AS consumer_momentary
    FROM by_month
    GROUP BY node_id
),
indices AS (
    SELECT
        node_id,
        month,
        consumers,
        feeder_interruptions,
        feeder_minutes,
        feeder_momentary,
        ROUND(1.0 * feeder_interruptions / NULLIF(consumers, 0), 3) AS saifi_feeder,
        ROUND(1.0 * consumer_interruptions / NULLIF(consumers, 0), 3) AS saifi_consumer,
        ROUND((1.0 * consumer_interruptions - feeder_interruptions) / NULLIF(consumers, 0), 3) AS saifi_difference,
        ROUND(feeder_minutes / NULLIF(consumers, 0), 2) AS saidi_feeder,
        ROUND(consumer_minutes / NULLIF(consumers, 0), 2) AS saidi_consumer,
        ROUND((consumer_minutes - feeder_minutes) / NULLIF(consumers, 0), 2) AS saidi_difference,
        ROUND(1.0 * feeder_momentary / NULLIF(consumers, 0), 3) AS maifi_feeder,
        ROUND(1.0 * consumer_momentary / NULLIF(consumers, 0), 3) AS maifi_consumer,
        ROUND((1.0 * consumer_momentary - feeder_momentary) / NULLIF(consumers, 0), 3) AS maifi_difference
    FROM spanned
)
