-- Energy balance of every DT and interval, in integer Wh, nothing netted for billing.
--
-- From:   member_reads, one row per meter (or unmetered connection), interval and balance it takes part in:
--           feeder_key, dt_key (NULL on the feeder itself), interval_key     dense integers that stand for feeder, DT and interval_end
--           role                  consumer, generation, dt, feeder, boundary_own, boundary_other, ht_consumer, ht_generation, unmetered
--           import_wh, export_wh  as the meter counts; 0 where it did not report
--           multiplier_thousandths  CT ratio x PT ratio, times 1000
--           reads_expected, reads_present, reads_estimated   1 a meter; 2 for a 15-minute meter in a 30-minute balance
--           import_bound_wh, export_bound_wh   the most that a consumer can draw and a prosumer or generator give in the interval
--           assessed_wh_month, interval_of_month, intervals_in_month   unmetered connections only, else 0, 0, 1
-- Gives:  one row per DT and interval. With every meter heard the loss would lie between loss_wh - loss_bound_wh and loss_wh +
--         loss_bound_above_wh: an absent consumer could have drawn all it can carry, an absent prosumer or generator given as much,
--         and an estimate be wrong by what lies between it and nothing, or all.
--         NULL: the DT's own meter did not report, so that what depends on it is unknown.
-- Source: injected, delivered and loss as DOMAIN section 2, with the AMISP model bidding document (section 6.1) for what counts.
--         House choices: multiplied energy is rounded half up to whole Wh per read; an assessed month is spread evenly over the
--         month's intervals so that they sum to it exactly; a generation meter's import is not counted.
WITH network_reads AS (
    SELECT
        feeder_key,
        dt_key,
        interval_key,
        role = 'dt' AS is_dt,
        role = 'consumer' AS is_consumer,
        role IN ('consumer', 'generation') AS gives,
        (import_wh * multiplier_thousandths + 500) / 1000 AS import_wh,
        (export_wh * multiplier_thousandths + 500) / 1000 AS export_wh,
        CASE WHEN role = 'unmetered'
            THEN assessed_wh_month * (interval_of_month + 1) / intervals_in_month
                - assessed_wh_month * interval_of_month / intervals_in_month
            ELSE 0 END AS assessed_wh,
        role <> 'unmetered' AS is_meter,
        role <> 'unmetered' AND reads_present = reads_expected AS is_present,
        role <> 'unmetered' AND reads_present = reads_expected AND reads_estimated > 0 AS is_estimated,
        role <> 'unmetered' AND reads_present < reads_expected AS is_absent,
        import_bound_wh,
        export_bound_wh
    FROM member_reads
    WHERE dt_key IS NOT NULL
),
bounded AS (
    SELECT
        *,
        CASE
            WHEN is_absent THEN import_bound_wh
            WHEN is_estimated THEN export_wh + CASE WHEN import_bound_wh > import_wh THEN import_bound_wh - import_wh ELSE 0 END
            ELSE 0
        END AS bound_below_wh,
        CASE
            WHEN is_absent THEN export_bound_wh
            WHEN is_estimated
                THEN CASE WHEN import_bound_wh > 0 THEN import_wh ELSE 0 END
                    + CASE WHEN export_bound_wh > export_wh THEN export_bound_wh - export_wh ELSE 0 END
            ELSE 0
        END AS bound_above_wh
    FROM network_reads
),
summed AS (
    SELECT
        feeder_key,
        dt_key,
        interval_key,
        COUNT(*) FILTER (WHERE is_dt) AS dt_meters,
        COUNT(*) FILTER (WHERE is_dt AND is_present) AS dt_meters_present,
        SUM(import_wh) FILTER (WHERE is_dt) AS dt_import_wh,
        SUM(export_wh) FILTER (WHERE is_dt) AS dt_export_wh,
        COALESCE(SUM(import_wh) FILTER (WHERE is_consumer), 0) AS consumer_import_wh,
        COALESCE(SUM(export_wh) FILTER (WHERE gives), 0) AS consumer_export_wh,
        SUM(assessed_wh) AS unmetered_wh,
        COUNT(*) FILTER (WHERE is_meter) AS meters_expected,
        COUNT(*) FILTER (WHERE is_present AND NOT is_estimated) AS meters_reported,
        COUNT(*) FILTER (WHERE is_estimated) AS meters_estimated,
        SUM(bound_below_wh) AS loss_bound_wh,
        SUM(bound_above_wh) AS loss_bound_above_wh
    FROM bounded
    GROUP BY feeder_key, dt_key, interval_key
),
metered AS (
    SELECT
        *,
        dt_meters > 0 AND dt_meters_present = dt_meters AS dt_metered
    FROM summed
)
SELECT
    feeder_key,
    dt_key,
    interval_key,
    CASE WHEN dt_metered THEN dt_import_wh END AS dt_import_wh,
    CASE WHEN dt_metered THEN dt_export_wh END AS dt_export_wh,
    consumer_import_wh,
    consumer_export_wh,
    unmetered_wh,
    CASE WHEN dt_metered THEN dt_import_wh + consumer_export_wh END AS injected_wh,
    CASE WHEN dt_metered THEN dt_export_wh + consumer_import_wh + unmetered_wh END AS delivered_wh,
    CASE WHEN dt_metered THEN dt_import_wh + consumer_export_wh - dt_export_wh - consumer_import_wh - unmetered_wh END AS loss_wh,
    loss_bound_wh,
    loss_bound_above_wh,
    meters_expected,
    meters_reported,
    meters_estimated
FROM metered
