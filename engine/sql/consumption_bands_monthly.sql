-- Consumers billed little, more and much energy in a month, by node: one row per node, month and band.
--
-- From:   energy_accounting_monthly, as it stands.
-- Gives:  consumers             consumers billed in the band
--         consumers_billed      consumers billed in the month
--         billed_kwh            energy billed to the band's consumers
--         billed_inr            their revenue, without arrears, with the subsidy that the State pays
--         No row for a node and month without a bill.
-- Source: bands by subdivision as franchisees are asked for them (DOMAIN section 8); where they end is configuration
--         (revenue.low_consumption_kwh, revenue.high_consumption_kwh).
SELECT
    node_id,
    kind,
    month,
    'low' AS band,
    low_consumers AS consumers,
    consumers_billed,
    low_kwh AS billed_kwh,
    low_inr AS billed_inr
FROM energy_accounting_monthly
WHERE consumers_billed > 0
UNION ALL
SELECT
    node_id,
    kind,
    month,
    'medium' AS band,
    medium_consumers AS consumers,
    consumers_billed,
    medium_kwh AS billed_kwh,
    medium_inr AS billed_inr
FROM energy_accounting_monthly
WHERE consumers_billed > 0
UNION ALL
SELECT
    node_id,
    kind,
    month,
    'high' AS band,
    high_consumers AS consumers,
    consumers_billed,
    high_kwh AS billed_kwh,
    high_inr AS billed_inr
FROM energy_accounting_monthly
WHERE consumers_billed > 0
