-- The parts of the feeder-based return: each feeder that was out in the quarter, with A_i N_i, B_i N_i, C_i N_i.
-- From: indices (see above), basis feeder. Feeders that were not out have nothing to add and are left out.
-- Gives: a row each feeder, the longest out first.
-- Source: DOMAIN section 5.
SELECT
    scope.name AS node,
    scope.node_id,
    indices.consumers,
    indices.feeder_interruptions,
    ROUND(indices.feeder_minutes, 1) AS interrupted_minutes,
    indices.feeder_momentary,
    indices.saifi_feeder,
    indices.saidi_feeder,
    indices.maifi_feeder
FROM scope
JOIN indices ON indices.node_id = scope.node_id AND indices.month IS NULL
WHERE scope.kind = 'feeder' AND (indices.feeder_interruptions > 0 OR indices.feeder_momentary > 0)
ORDER BY interrupted_minutes DESC, scope.node_id
