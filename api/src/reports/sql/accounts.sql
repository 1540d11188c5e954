-- Energy and money of each node of the report, by month and over the period: the one definition of the efficiencies and of AT&C loss.
-- From: node_balance_daily of the feeders (input energy), billing (energy billed, amount billed, amount collected).
-- Source: Bureau of Energy Efficiency, Manner and Intervals for Conduct of Energy Audit in Electricity Distribution Companies,
-- Regulations 2021, with DOMAIN section 8:
--     billing efficiency = billed / input energy      collection efficiency = collected / billed (arrears out)      AT&C = 1 - BE x CE
-- Amounts are what consumers are billed and pay: the State's subsidy stands on neither side.
-- Withheld (null): what rests on input energy where less than $coverage_pct % of the feeders' days is known, what rests on bills
-- where fewer than $coverage_pct % of the consumers connected have one (house choice, as with losses).
-- Status: provisional while late reads may still change a day, incomplete below that coverage.
-- Gives: accounts by node_id and month; month null is the whole period.
energy AS (
    SELECT
        node_id AS feeder_id,
        CAST(DATE_TRUNC('month', day) AS DATE) AS month,
        SUM(input_wh) AS input_wh,
        SUM(CAST(intervals_computed AS DOUBLE) / CAST(NULLIF(intervals_expected, 0) AS DOUBLE)) AS days_known,
        SUM(CASE WHEN status = 'provisional' THEN 1 ELSE 0 END) AS days_provisional,
        SUM(CASE WHEN status = 'restated' THEN 1 ELSE 0 END) AS days_restated
    FROM node_balance_daily_as_of($as_of)
    WHERE kind = 'feeder' AND day BETWEEN $earliest_day AND $last_day
    GROUP BY 1, 2
),
billed AS (
    SELECT
        feeder_of.feeder_id,
        billing.month,
        COUNT(*) AS bills,
        SUM(billing.billed_kwh) AS billed_kwh,
        CAST(SUM(billing.billed_inr) AS DECIMAL(38, 2)) AS billed_inr,
        CAST(SUM(billing.collected_inr) AS DECIMAL(38, 2)) AS collected_inr
    FROM billing_as_of($as_of) AS billing
    JOIN placed ON placed.consumer_id = billing.consumer_id AND placed.month = billing.month
    JOIN feeder_of ON feeder_of.node_id = placed.node_id
    GROUP BY 1, 2
),
served AS (
    SELECT
        feeder_of.feeder_id,
        placed.month,
        COUNT(*) AS consumers
    FROM placed
    JOIN feeder_of ON feeder_of.node_id = placed.node_id
    WHERE placed.is_served
    GROUP BY 1, 2
),
feeder_months AS (
    SELECT
        network.node_id AS feeder_id,
        months.month,
        CAST(DATE_PART('day', DATE_TRUNC('month', months.month) + INTERVAL '1 month' - INTERVAL '1 day') AS DOUBLE) AS days,
        energy.input_wh,
        COALESCE(energy.days_known, 0) AS days_known,
        COALESCE(energy.days_provisional, 0) AS days_provisional,
        COALESCE(energy.days_restated, 0) AS days_restated,
        COALESCE(served.consumers, 0) AS consumers,
        COALESCE(billed.bills, 0) AS bills,
        billed.billed_kwh,
        billed.billed_inr,
        billed.collected_inr
    FROM network
    CROSS JOIN months
    LEFT JOIN energy ON energy.feeder_id = network.node_id AND energy.month = months.month
    LEFT JOIN billed ON billed.feeder_id = network.node_id AND billed.month = months.month
    LEFT JOIN served ON served.feeder_id = network.node_id AND served.month = months.month
    WHERE network.kind = 'feeder'
),
spans AS (
    SELECT month AS span, month FROM months
    UNION ALL
    SELECT NULL AS span, month FROM months
),
sums AS (
    SELECT
        closure.top_id AS node_id,
        spans.span AS month,
        COUNT(DISTINCT feeder_months.feeder_id) AS feeders,
        SUM(feeder_months.input_wh) / 1000.0 AS input_kwh,
        100.0 * SUM(feeder_months.days_known) / SUM(feeder_months.days) AS energy_pct,
        SUM(feeder_months.days_provisional) AS days_provisional,
        SUM(feeder_months.days_restated) AS days_restated,
        SUM(feeder_months.consumers) AS consumer_months,
        SUM(feeder_months.bills) AS bills,
        100.0 * SUM(feeder_months.bills) / NULLIF(SUM(feeder_months.consumers), 0) AS bills_pct,
        SUM(feeder_months.billed_kwh) AS billed_kwh,
        SUM(feeder_months.billed_inr) AS billed_inr,
        SUM(feeder_months.collected_inr) AS collected_inr
    FROM closure
    JOIN feeder_months ON feeder_months.feeder_id = closure.node_id
    JOIN spans ON spans.month = feeder_months.month
    GROUP BY 1, 2
),
shares AS (
    SELECT
        *,
        CASE
            WHEN energy_pct >= $coverage_pct AND bills_pct >= $coverage_pct AND input_kwh > 0 THEN billed_kwh / input_kwh
        END AS billing_efficiency,
        CASE
            WHEN bills_pct >= $coverage_pct AND billed_inr > 0
                THEN CAST(collected_inr AS DOUBLE) / CAST(billed_inr AS DOUBLE)
        END AS collection_efficiency
    FROM sums
),
accounts AS (
    SELECT
        node_id,
        month,
        feeders,
        consumer_months,
        bills,
        ROUND(energy_pct, 1) AS energy_pct,
        ROUND(bills_pct, 1) AS bills_pct,
        CAST(ROUND(input_kwh) AS BIGINT) AS input_kwh,
        CAST(ROUND(billed_kwh) AS BIGINT) AS billed_kwh,
        billed_inr,
        collected_inr,
        ROUND(100.0 * billing_efficiency, 2) AS billing_efficiency_pct,
        ROUND(100.0 * collection_efficiency, 2) AS collection_efficiency_pct,
        ROUND(100.0 * (1.0 - billing_efficiency * collection_efficiency), 2) AS atc_pct,
        CASE
            WHEN input_kwh IS NULL THEN 'no balance'
            WHEN days_provisional > 0 THEN 'provisional'
            WHEN energy_pct < $coverage_pct THEN 'incomplete'
            WHEN days_restated > 0 THEN 'final, restated'
            ELSE 'final'
        END AS status
    FROM shares
)
