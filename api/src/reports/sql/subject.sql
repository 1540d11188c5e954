-- The node of a report and the nodes above it, nearest first; without a node, those that have none above.
-- From: nodes, as they stood at the end of the period ($then), as it was known at $as_of.
-- Gives: the node, and those above it by height.
-- Source: house choice: whose report it is.
WITH RECURSIVE
network AS (
    SELECT node_id, kind, parent_id, COALESCE(NULLIF(name, ''), node_id) AS name
    FROM nodes_as_of($then, $as_of)
),
above AS (
    SELECT node_id, kind, parent_id, name, 0 AS height
    FROM network
    WHERE node_id = $node OR ($node IS NULL AND parent_id IS NULL)
    UNION ALL
    SELECT upper.node_id, upper.kind, upper.parent_id, upper.name, above.height + 1
    FROM network AS upper
    JOIN above ON upper.node_id = above.parent_id
    WHERE above.height < 18
)
SELECT height, node_id, kind, name
FROM above
ORDER BY height, node_id
