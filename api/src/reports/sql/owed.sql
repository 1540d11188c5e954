-- Compensation entries below the report's node, each with the month in which what it is for began.
-- From: compensation_entries, outages. The default of an outage belongs to the month in which the outage began, whenever the entry was
-- made; every other default to the month in which its entry was made.
-- Gives: owed; case_id names one consumer's one default.
-- Source: DOMAIN section 6; that an outage's default belongs to its month: house choice.
owed AS (
    SELECT
        home.feeder_id,
        COALESCE(outages.month, entries.month) AS month,
        entries.regulation,
        entries.clause,
        entries.standard,
        entries.consumer_id,
        entries.consumer_id || '|' || entries.default_key AS case_id,
        entries.status,
        entries.amount_inr
    FROM compensation_entries_as_of($as_of) AS entries
    JOIN home ON home.consumer_id = entries.consumer_id
    LEFT JOIN outages_as_of($as_of) AS outages ON outages.outage_id = entries.outage_id
)
