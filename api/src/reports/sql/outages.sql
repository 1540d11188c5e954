-- Outages that began in the period, by class and scope.
-- From: outages; those of the report's node and of what lies below it.
-- Consumer-minutes and means are of outages that are over.
-- Gives: a row each class and scope.
-- Source: DOMAIN section 5.
, here AS (
    SELECT node_id FROM scope
    UNION
    SELECT feeder_of.node_id FROM feeder_of JOIN scope ON scope.node_id = feeder_of.feeder_id
)
SELECT
    outages.class,
    outages.scope,
    COUNT(*) AS outages,
    SUM(CASE WHEN outages.ended_at IS NULL THEN 1 ELSE 0 END) AS not_over,
    SUM(CASE WHEN outages.force_majeure THEN 1 ELSE 0 END) AS force_majeure,
    SUM(outages.consumers_affected) AS consumers_affected,
    ROUND(AVG(arrow_cast(arrow_cast(outages.ended_at, 'Int64') - arrow_cast(outages.started_at, 'Int64'), 'Float64') / 60000000.0), 1) AS mean_minutes,
    ROUND(MAX(arrow_cast(arrow_cast(outages.ended_at, 'Int64') - arrow_cast(outages.started_at, 'Int64'), 'Float64') / 60000000.0), 1) AS longest_minutes
FROM outages_as_of($as_of) AS outages
JOIN here ON here.node_id = outages.node_id
WHERE outages.month BETWEEN $first_day AND $last_day AND outages.status <> 'CANCELLED'
GROUP BY 1, 2
ORDER BY 1, 2
