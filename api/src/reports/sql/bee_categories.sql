-- Energy billed and money by tariff category, in the quarter.
-- From: billing, with the category that each consumer had at the end of the month of the bill.
-- Gives: a row each category.
-- Source: DOMAIN section 8.
SELECT
    placed.category,
    COUNT(DISTINCT placed.consumer_id) AS consumers,
    COUNT(billing.consumer_id) AS bills,
    CAST(ROUND(SUM(billing.billed_kwh)) AS BIGINT) AS billed_kwh,
    SUM(billing.billed_inr) AS billed_inr,
    SUM(billing.subsidy_inr) AS subsidy_inr,
    SUM(billing.collected_inr) AS collected_inr,
    ROUND(CAST(SUM(billing.billed_inr) AS DOUBLE) / NULLIF(SUM(billing.billed_kwh), 0), 2) AS rate_inr
FROM placed
JOIN feeder_of ON feeder_of.node_id = placed.node_id
JOIN scope ON scope.node_id = feeder_of.feeder_id
LEFT JOIN billing_as_of($as_of) AS billing
    ON billing.consumer_id = placed.consumer_id AND billing.month = placed.month
GROUP BY 1
ORDER BY 1
