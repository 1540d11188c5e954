-- Key figures of a node: the month, the month before, the same month of last year.
-- From: accounts (see above), node_balance_daily, reliability_monthly (consumer-based, major event days included), read_completeness,
-- owed (see above).
-- Null: not known, or withheld below coverage. A month without interruptions has no row of indices and counts as zero where the node's
-- meters owed reads at all.
-- Gives: a line each figure: this month, the month before, the same month of last year.
-- Source: DOMAIN sections 2, 5, 6 and 8; which figures: house choice.
, losses AS (
    SELECT
        CAST(DATE_TRUNC('month', day) AS DATE) AS month,
        SUM(total_loss_wh) AS loss_wh,
        SUM(injected_where_known_wh) AS injected_wh
    FROM node_balance_daily_as_of($as_of)
    WHERE node_id = $node AND day BETWEEN $earliest_day AND $last_day
    GROUP BY 1
),
reads AS (
    SELECT
        CAST(DATE_TRUNC('month', day) AS DATE) AS month,
        CAST(SUM(expected) AS DOUBLE) AS expected,
        CAST(SUM(by_8h) AS DOUBLE) AS by_8h,
        CAST(SUM(by_12h) AS DOUBLE) AS by_12h
    FROM read_completeness_as_of($as_of)
    WHERE node_id = $node AND day BETWEEN $earliest_day AND $last_day
    GROUP BY 1
),
indices AS (
    SELECT month, saifi, saidi_minutes, maifi
    FROM reliability_monthly_as_of($as_of)
    WHERE node_id = $node AND basis = 'consumer' AND med = 'included'
),
owed_here AS (
    SELECT owed.month, CAST(SUM(owed.amount_inr) AS DOUBLE) AS amount_inr, COUNT(DISTINCT owed.case_id) AS defaults
    FROM owed
    JOIN scope ON scope.node_id = owed.feeder_id
    GROUP BY 1
),
served_at_end AS (
    SELECT placed.month, CAST(COUNT(*) AS DOUBLE) AS consumers
    FROM placed
    JOIN feeder_of ON feeder_of.node_id = placed.node_id
    JOIN scope ON scope.node_id = feeder_of.feeder_id
    WHERE placed.is_served
    GROUP BY 1
),
of_month AS (
    SELECT
        months.month,
        served_at_end.consumers,
        accounts.input_kwh,
        accounts.billed_kwh,
        CAST(accounts.billed_inr AS DOUBLE) AS billed_inr,
        CAST(accounts.collected_inr AS DOUBLE) AS collected_inr,
        accounts.billing_efficiency_pct,
        accounts.collection_efficiency_pct,
        accounts.atc_pct,
        CASE WHEN accounts.energy_pct >= $coverage_pct THEN ROUND(losses.loss_wh / 1000.0) END AS loss_kwh,
        CASE
            WHEN accounts.energy_pct >= $coverage_pct AND losses.injected_wh > 0
                THEN ROUND(100.0 * losses.loss_wh / losses.injected_wh, 2)
        END AS loss_pct,
        CASE WHEN reads.expected > 0 OR indices.saifi IS NOT NULL THEN ROUND(COALESCE(indices.saifi, 0), 3) END AS saifi,
        CASE WHEN reads.expected > 0 OR indices.saidi_minutes IS NOT NULL THEN ROUND(COALESCE(indices.saidi_minutes, 0), 1) END AS saidi_minutes,
        CASE WHEN reads.expected > 0 OR indices.maifi IS NOT NULL THEN ROUND(COALESCE(indices.maifi, 0), 3) END AS maifi,
        ROUND(100.0 * reads.by_8h / NULLIF(reads.expected, 0), 2) AS by_8h_pct,
        ROUND(100.0 * reads.by_12h / NULLIF(reads.expected, 0), 2) AS by_12h_pct,
        CASE WHEN reads.expected > 0 OR owed_here.defaults > 0 THEN COALESCE(owed_here.defaults, 0) END AS defaults,
        CASE WHEN reads.expected > 0 OR owed_here.defaults > 0 THEN COALESCE(owed_here.amount_inr, 0) END AS owed_inr
    FROM months
    LEFT JOIN accounts ON accounts.node_id = $node AND accounts.month = months.month
    LEFT JOIN losses ON losses.month = months.month
    LEFT JOIN reads ON reads.month = months.month
    LEFT JOIN indices ON indices.month = months.month
    LEFT JOIN owed_here ON owed_here.month = months.month
    LEFT JOIN served_at_end ON served_at_end.month = months.month
),
valued AS (
    SELECT
        lines.line,
        lines.figure,
        lines.unit,
        of_month.month,
        CASE lines.line
            WHEN 1 THEN of_month.consumers
            WHEN 2 THEN CAST(of_month.input_kwh AS DOUBLE)
            WHEN 3 THEN of_month.loss_kwh
            WHEN 4 THEN of_month.loss_pct
            WHEN 5 THEN CAST(of_month.billed_kwh AS DOUBLE)
            WHEN 6 THEN of_month.billed_inr
            WHEN 7 THEN of_month.collected_inr
            WHEN 8 THEN of_month.billing_efficiency_pct
            WHEN 9 THEN of_month.collection_efficiency_pct
            WHEN 10 THEN of_month.atc_pct
            WHEN 11 THEN of_month.saifi
            WHEN 12 THEN of_month.saidi_minutes
            WHEN 13 THEN of_month.maifi
            WHEN 14 THEN of_month.by_8h_pct
            WHEN 15 THEN of_month.by_12h_pct
            WHEN 16 THEN CAST(of_month.defaults AS DOUBLE)
            WHEN 17 THEN of_month.owed_inr
        END AS value
    FROM of_month
    CROSS JOIN (
        VALUES
            (1, 'Consumers connected at the end of the month', 'count'),
            (2, 'Energy into the feeders', 'kWh'),
            (3, 'Energy lost in the network, by meters', 'kWh'),
            (4, 'Network loss, of what came in', '%'),
            (5, 'Energy billed', 'kWh'),
            (6, 'Amount billed, without arrears and subsidy', '₹'),
            (7, 'Amount collected', '₹'),
            (8, 'Billing efficiency', '%'),
            (9, 'Collection efficiency', '%'),
            (10, 'AT&C loss', '%'),
            (11, 'SAIFI', 'per consumer'),
            (12, 'SAIDI', 'min'),
            (13, 'MAIFI', 'per consumer'),
            (14, 'Reads within 8 h of the day', '%'),
            (15, 'Reads within 12 h of the day', '%'),
            (16, 'Defaults for which compensation is owed', 'count'),
            (17, 'Compensation owed, net', '₹')
    ) AS lines (line, figure, unit)
)
SELECT
    line,
    figure,
    unit,
    MAX(CASE WHEN month = $month THEN value END) AS this_month,
    MAX(CASE WHEN month = $month_before THEN value END) AS month_before,
    MAX(CASE WHEN month = $year_ago THEN value END) AS year_ago
FROM valued
GROUP BY line, figure, unit
ORDER BY line
