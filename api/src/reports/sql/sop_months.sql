-- Reliability of the report's node, by month and over the quarter.
-- From: indices (see above).
-- Gives: a row each month, and one of the quarter.
-- Source: DOMAIN section 5.
SELECT
    indices.month,
    indices.consumers,
    indices.saifi_feeder,
    indices.saifi_consumer,
    indices.saifi_difference,
    indices.saidi_feeder,
    indices.saidi_consumer,
    indices.saidi_difference,
    indices.maifi_feeder,
    indices.maifi_consumer,
    indices.maifi_difference
FROM indices
WHERE indices.node_id = $node
ORDER BY indices.month NULLS LAST
