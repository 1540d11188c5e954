-- Which consumer hung where in each month of the report.
-- From: connections with all their rows, as they were known at $as_of; $months are the months with their first and last instant.
-- Gives: months; placed (each consumer of each month, where and how he was connected at the last instant of the month at which he was
-- connected at all, and whether that is the end of the month: is_served); home (the feeder on which each consumer was connected last,
-- up to the end of the period). Of several connections at one time the one of the lowest meter counts, as with interruptions and
-- feeder revenue.
-- Source: DOMAIN section 1: consumer indexing is effective-dated.
months AS (
    SELECT
        month,
        arrow_cast(begins, 'Timestamp(Microsecond, Some("UTC"))') AS begins_at,
        arrow_cast(ends, 'Timestamp(Microsecond, Some("UTC"))') AS ends_at
    FROM (VALUES $months) AS given (month, begins, ends)
),
known AS (
    SELECT consumer_id, meter_id, node_id, category, metering, valid_from, valid_to
    FROM (
        SELECT
            *,
            ROW_NUMBER() OVER (
                PARTITION BY consumer_id, meter_id, valid_from
                ORDER BY recorded_at DESC, position DESC
            ) AS newest
        FROM connections_history
        WHERE published_at <= arrow_cast($as_of, 'Timestamp(Microsecond, Some("UTC"))')
    )
    WHERE newest = 1
),
placed AS (
    SELECT month, consumer_id, node_id, category, metering, until_at = ends_at AS is_served
    FROM (
        SELECT
            *,
            ROW_NUMBER() OVER (
                PARTITION BY month, consumer_id
                ORDER BY until_at DESC, meter_id
            ) AS place
        FROM (
            SELECT
                months.month,
                months.ends_at,
                known.consumer_id,
                known.meter_id,
                known.node_id,
                known.category,
                known.metering,
                CASE
                    WHEN known.valid_to < months.ends_at THEN known.valid_to
                    ELSE months.ends_at
                END AS until_at
            FROM known
            JOIN months ON known.valid_from < months.ends_at
            WHERE known.valid_to IS NULL OR known.valid_to > months.begins_at
        )
    )
    WHERE place = 1
),
home AS (
    SELECT latest.consumer_id, feeder_of.feeder_id
    FROM (
        SELECT
            consumer_id,
            node_id,
            ROW_NUMBER() OVER (
                PARTITION BY consumer_id
                ORDER BY
                    CASE
                        WHEN valid_to < arrow_cast($then, 'Timestamp(Microsecond, Some("UTC"))') THEN valid_to
                        ELSE arrow_cast($then, 'Timestamp(Microsecond, Some("UTC"))')
                    END DESC,
                    meter_id
            ) AS place
        FROM known
        WHERE valid_from <= arrow_cast($then, 'Timestamp(Microsecond, Some("UTC"))')
    ) AS latest
    JOIN feeder_of ON feeder_of.node_id = latest.node_id
    WHERE latest.place = 1
)
