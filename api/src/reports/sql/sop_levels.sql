-- Reliability of the nodes directly below the report's node, over the quarter.
-- From: indices (see above).
-- Gives: a row each node below.
-- Source: DOMAIN section 5.
SELECT
    scope.name AS node,
    scope.node_id,
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
FROM scope
JOIN indices ON indices.node_id = scope.node_id AND indices.month IS NULL
WHERE scope.depth = 1
ORDER BY scope.name, scope.node_id
