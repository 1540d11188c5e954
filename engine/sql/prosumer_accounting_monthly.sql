-- What prosumers drew and gave, in whole Wh of network energy, by node, month and scheme.
--
-- From:   interval_reads (the validated value of each interval: a late read changes the row), connections, meters, nodes, as they stand.
-- Gives:  one row per node (DT, or feeder of an HT consumer, and every level above), month and scheme:
--         consumers             prosumers with a read in the month
--         import_wh, export_wh  drawn from and given to the network; a generation meter's export is what was generated
--         billed_wh             energy that they are to be billed for:
--                                 net_metering    import less export less credit brought forward, not below 0
--                                 net_billing     all that was imported (export is priced apart)
--                                 gross_metering  all that was imported by the consumption meters
--         bought_wh             energy that the discom buys of them: net_billing the export, gross_metering the generation;
--                               net_metering 0: a surplus is credited in kWh
--         brought_forward_wh    credit at the month's begin (net_metering, else 0)
--         carried_forward_wh    credit at the month's end (net_metering, else 0)
--         intervals             reads counted
--         estimated_intervals   of these, estimates
-- Source: schemes as DOMAIN section 1 (Electricity (Rights of Consumers) Rules 2020, rule 11, and the States' regulations on net metering).
--         Credit is carried within the financial year, April to March, and begins it at 0: what is paid for the rest is in no file.
--         House choices: a prosumer's month counts under the scheme and node of his last interval in it, at the node above which that node
--         hung then; a generation meter's import is not counted; multiplied energy is rounded half up to whole Wh per read, as in
--         dt_balance.sql.
WITH RECURSIVE connected AS (
    SELECT
        consumer_id,
        meter_id,
        node_id,
        prosumer,
        valid_from,
        LEAST(valid_to, LEAD(valid_from) OVER (PARTITION BY consumer_id, meter_id ORDER BY valid_from)) AS valid_to
    FROM connections
    WHERE meter_id IS NOT NULL
),
metered AS (
    SELECT
        meter_id,
        role,
        CAST(ROUND(multiplier * 1000) AS BIGINT) AS thousandths,
        valid_from,
        LEAST(valid_to, LEAD(valid_from) OVER (PARTITION BY meter_id ORDER BY valid_from)) AS valid_to
    FROM meters
    WHERE role IN ('consumer', 'generation')
),
placed AS (
    SELECT
        node_id,
        kind,
        parent_id,
        valid_from,
        LEAST(valid_to, LEAD(valid_from) OVER (PARTITION BY node_id ORDER BY valid_from)) AS valid_to
    FROM nodes
),
energy AS (
    SELECT
        connected.consumer_id,
        connected.meter_id,
        connected.node_id,
        connected.prosumer AS scheme,
        CAST(DATE_TRUNC('month', reads.day) AS DATE) AS month,
        reads.interval_end,
        CASE WHEN metered.role = 'generation' THEN 0 ELSE (reads.import_wh * metered.thousandths + 500) / 1000 END AS import_wh,
        (COALESCE(reads.export_wh, 0) * metered.thousandths + 500) / 1000 AS export_wh,
        CASE WHEN reads.quality = 'estimated' THEN 1 ELSE 0 END AS estimated
    FROM connected
    INNER JOIN interval_reads AS reads
        ON
            reads.meter_id = connected.meter_id
            AND reads.interval_end > connected.valid_from
            AND (connected.valid_to IS NULL OR reads.interval_end <= connected.valid_to)
    INNER JOIN metered
        ON
            metered.meter_id = reads.meter_id
            AND reads.interval_end > metered.valid_from
            AND (metered.valid_to IS NULL OR reads.interval_end <= metered.valid_to)
    WHERE connected.prosumer <> 'none' AND reads.import_wh IS NOT NULL
),
monthly AS (
    SELECT
        consumer_id,
        month,
        LAST_VALUE(node_id ORDER BY interval_end, meter_id) AS node_id,
        LAST_VALUE(scheme ORDER BY interval_end, meter_id) AS scheme,
        MAX(interval_end) AS last_end,
        SUM(import_wh) AS import_wh,
        SUM(export_wh) AS export_wh,
        COUNT(*) AS intervals,
        SUM(estimated) AS estimated_intervals
    FROM energy
    GROUP BY consumer_id, month
),
yearly AS (
    SELECT
        *,
        CAST(EXTRACT(YEAR FROM month) AS BIGINT) - CASE WHEN EXTRACT(MONTH FROM month) < 4 THEN 1 ELSE 0 END AS year
    FROM monthly
),
-- The surplus since April; the credit is how far it stands above its least value so far, or 0.
running AS (
    SELECT
        *,
        SUM(export_wh - import_wh) OVER (
            PARTITION BY consumer_id, scheme, year ORDER BY month ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS surplus_wh
    FROM yearly
),
lowest AS (
    SELECT
        *,
        MIN(surplus_wh) OVER (
            PARTITION BY consumer_id, scheme, year ORDER BY month ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS least_wh
    FROM running
),
credited AS (
    SELECT
        *,
        CASE WHEN scheme = 'net_metering' THEN surplus_wh - LEAST(0, least_wh) ELSE 0 END AS carried_forward_wh
    FROM lowest
),
settled AS (
    SELECT
        *,
        COALESCE(
            LAG(carried_forward_wh) OVER (PARTITION BY consumer_id, scheme, year ORDER BY month),
            0
        ) AS brought_forward_wh
    FROM credited
),
-- Each prosumer's month at his node and at every node above it; no hierarchy has more levels. CONCAT makes a column without the comment
-- that each table's column carries: the two parts of a recursion must agree in that too.
above AS (
    SELECT
        consumer_id,
        month,
        last_end,
        CONCAT(node_id, '') AS node_id,
        1 AS level
    FROM monthly
    UNION ALL
    SELECT
        above.consumer_id,
        above.month,
        above.last_end,
        CONCAT(placed.parent_id, '') AS node_id,
        above.level + 1 AS level
    FROM above
    INNER JOIN placed
        ON
            placed.node_id = above.node_id
            AND above.last_end > placed.valid_from
            AND (placed.valid_to IS NULL OR above.last_end <= placed.valid_to)
    WHERE placed.parent_id IS NOT NULL AND above.level < 16
)
SELECT
    above.node_id,
    settled.month,
    settled.scheme,
    COUNT(*) AS consumers,
    SUM(settled.import_wh) AS import_wh,
    SUM(settled.export_wh) AS export_wh,
    SUM(
        CASE
            WHEN settled.scheme = 'net_metering'
                THEN settled.import_wh - settled.export_wh - settled.brought_forward_wh + settled.carried_forward_wh
            ELSE settled.import_wh
        END
    ) AS billed_wh,
    SUM(CASE WHEN settled.scheme = 'net_metering' THEN 0 ELSE settled.export_wh END) AS bought_wh,
    SUM(settled.brought_forward_wh) AS brought_forward_wh,
    SUM(settled.carried_forward_wh) AS carried_forward_wh,
    SUM(settled.intervals) AS intervals,
    SUM(settled.estimated_intervals) AS estimated_intervals
FROM settled
INNER JOIN above ON above.consumer_id = settled.consumer_id AND above.month = settled.month
GROUP BY above.node_id, settled.month, settled.scheme
