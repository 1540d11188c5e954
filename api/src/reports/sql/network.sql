-- The network of a report, and which feeders lie below which node.
-- From: nodes, as they stood at the end of the period ($then), as it was known at $as_of.
-- Gives: network (every node), scope (the report's node and all levels below it down to the feeders, with their depth), closure (each
-- node of scope with each feeder or level below it, itself among them), feeder_of (each DT and feeder of the network with its feeder).
-- A hierarchy has nine levels; 18 ends what a cycle of wrong rows would not.
-- Source: DOMAIN section 1: the hierarchy.
network AS (
    SELECT
        node_id,
        kind,
        parent_id,
        COALESCE(NULLIF(name, ''), node_id) AS name
    FROM nodes_as_of($then, $as_of)
),
scope AS (
    SELECT node_id, kind, parent_id, name, 0 AS depth
    FROM network
    WHERE node_id = $node
    UNION ALL
    SELECT below.node_id, below.kind, below.parent_id, below.name, scope.depth + 1
    FROM network AS below
    JOIN scope ON below.parent_id = scope.node_id
    WHERE below.kind <> 'dt' AND scope.depth < 18
),
closure AS (
    SELECT node_id AS top_id, node_id, kind, 0 AS depth
    FROM scope
    UNION ALL
    SELECT closure.top_id, below.node_id, below.kind, closure.depth + 1
    FROM network AS below
    JOIN closure ON below.parent_id = closure.node_id
    WHERE below.kind <> 'dt' AND closure.depth < 18
),
feeder_of AS (
    SELECT
        node_id,
        CASE WHEN kind = 'dt' THEN parent_id ELSE node_id END AS feeder_id
    FROM network
    WHERE kind IN ('dt', 'feeder')
)
