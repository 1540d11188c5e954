-- Energy balance of every feeder and interval, in integer Wh.
--
-- From:   dt_balance, as dt_balance.sql gives it for the same intervals, and
--         member_reads (see dt_balance.sql), of which the rows on the feeder itself (dt_key NULL) are read here.
-- Gives:  one row per feeder and interval. NULL: the feeder's own meter or one of its boundary meters did not report, so that
--         what depends on it is unknown.
-- Source: DOMAIN section 2:
--           input_wh      = feeder_import - feeder_export + boundary_in - boundary_out
--           ht_loss_wh    = input_wh - sum(DT net input) - sum(HT consumer import - HT consumer export)
--           lt_loss_wh    = sum(DT loss)
--           total_loss_wh = input_wh + sum(all consumer export) - sum(all consumer import) - unmetered
--         A DT without a working meter has no loss of its own: what its consumers drew takes the place of its net input, and its
--         loss stays in ht_loss_wh (dt_metered of dt_total says so). So total = ht + lt in every row.
WITH own_reads AS (
    SELECT
        feeder_key,
        interval_key,
        role,
        (import_wh * multiplier_thousandths + 500) / 1000 AS import_wh,
        (export_wh * multiplier_thousandths + 500) / 1000 AS export_wh,
        CASE WHEN role = 'unmetered'
            THEN assessed_wh_month * (interval_of_month + 1) / intervals_in_month
                - assessed_wh_month * interval_of_month / intervals_in_month
            ELSE 0 END AS assessed_wh,
        role <> 'unmetered' AS is_meter,
        role IN ('boundary_own', 'boundary_other') AS is_boundary,
        role <> 'unmetered' AND reads_present = reads_expected AS is_present,
        role <> 'unmetered' AND reads_present = reads_expected AND reads_estimated > 0 AS is_estimated,
        role <> 'unmetered' AND reads_present < reads_expected AS is_absent,
        import_bound_wh,
        export_bound_wh
    FROM member_reads
    WHERE dt_key IS NULL
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
    FROM own_reads
),
own_sums AS (
    SELECT
        feeder_key,
        interval_key,
        COUNT(*) FILTER (WHERE role = 'feeder') AS feeder_meters,
        COUNT(*) FILTER (WHERE role = 'feeder' AND is_present) AS feeder_meters_present,
        COUNT(*) FILTER (WHERE is_boundary AND NOT is_present) AS boundary_meters_absent,
        SUM(import_wh) FILTER (WHERE role = 'feeder') AS feeder_import_wh,
        SUM(export_wh) FILTER (WHERE role = 'feeder') AS feeder_export_wh,
        SUM(CASE WHEN role = 'boundary_own' THEN import_wh ELSE export_wh END)
            FILTER (WHERE is_boundary) AS boundary_in_wh,
        SUM(CASE WHEN role = 'boundary_own' THEN export_wh ELSE import_wh END)
            FILTER (WHERE is_boundary) AS boundary_out_wh,
        SUM(import_wh) FILTER (WHERE role = 'ht_consumer') AS ht_import_wh,
        SUM(export_wh) FILTER (WHERE role IN ('ht_consumer', 'ht_generation')) AS ht_export_wh,
        SUM(assessed_wh) AS unmetered_wh,
        SUM(bound_below_wh) AS loss_bound_wh,
        SUM(bound_above_wh) AS loss_bound_above_wh,
        COUNT(*) FILTER (WHERE is_meter) AS meters_expected,
        COUNT(*) FILTER (WHERE is_present AND NOT is_estimated) AS meters_reported,
        COUNT(*) FILTER (WHERE is_estimated) AS meters_estimated
    FROM bounded
    GROUP BY feeder_key, interval_key
),
dt_sums AS (
    SELECT
        feeder_key,
        interval_key,
        SUM(dt_import_wh - dt_export_wh) AS dt_input_wh,
        SUM(consumer_import_wh - consumer_export_wh + unmetered_wh) FILTER (WHERE dt_import_wh IS NULL) AS behind_unmetered_dt_wh,
        SUM(consumer_import_wh) AS lt_import_wh,
        SUM(consumer_export_wh) AS lt_export_wh,
        SUM(unmetered_wh) AS unmetered_wh,
        SUM(loss_wh) AS lt_loss_wh,
        SUM(loss_bound_wh) AS loss_bound_wh,
        SUM(loss_bound_above_wh) AS loss_bound_above_wh,
        COUNT(dt_import_wh) AS dt_metered,
        COUNT(*) AS dt_total,
        SUM(meters_expected) AS meters_expected,
        SUM(meters_reported) AS meters_reported,
        SUM(meters_estimated) AS meters_estimated
    FROM dt_balance
    GROUP BY feeder_key, interval_key
),
parts AS (
    SELECT
        feeder_key,
        interval_key,
        feeder_meters,
        feeder_meters_present,
        boundary_meters_absent,
        COALESCE(feeder_import_wh, 0) AS feeder_import_wh,
        COALESCE(feeder_export_wh, 0) AS feeder_export_wh,
        COALESCE(boundary_in_wh, 0) AS boundary_in_wh,
        COALESCE(boundary_out_wh, 0) AS boundary_out_wh,
        0 AS dt_input_wh,
        0 AS behind_unmetered_dt_wh,
        COALESCE(ht_import_wh, 0) AS ht_import_wh,
        COALESCE(ht_export_wh, 0) AS ht_export_wh,
        0 AS lt_import_wh,
        0 AS lt_export_wh,
        unmetered_wh,
        unmetered_wh AS unmetered_on_feeder_wh,
        0 AS lt_loss_wh,
        loss_bound_wh,
        loss_bound_above_wh,
        0 AS dt_metered,
        0 AS dt_total,
        meters_expected,
        meters_reported,
        meters_estimated
    FROM own_sums
    UNION ALL
    SELECT
        feeder_key,
        interval_key,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        COALESCE(dt_input_wh, 0),
        COALESCE(behind_unmetered_dt_wh, 0),
        0,
        0,
        lt_import_wh,
        lt_export_wh,
        unmetered_wh,
        0,
        COALESCE(lt_loss_wh, 0),
        loss_bound_wh,
        loss_bound_above_wh,
        dt_metered,
        dt_total,
        meters_expected,
        meters_reported,
        meters_estimated
    FROM dt_sums
),
summed AS (
    SELECT
        feeder_key,
        interval_key,
        SUM(feeder_meters) > 0 AND SUM(feeder_meters_present) = SUM(feeder_meters) AS feeder_metered,
        SUM(boundary_meters_absent) = 0 AS boundary_metered,
        SUM(feeder_import_wh) AS feeder_import_wh,
        SUM(feeder_export_wh) AS feeder_export_wh,
        SUM(boundary_in_wh) AS boundary_in_wh,
        SUM(boundary_out_wh) AS boundary_out_wh,
        SUM(dt_input_wh) AS dt_input_wh,
        SUM(behind_unmetered_dt_wh) AS behind_unmetered_dt_wh,
        SUM(ht_import_wh) AS ht_import_wh,
        SUM(ht_export_wh) AS ht_export_wh,
        SUM(lt_import_wh) + SUM(ht_import_wh) AS consumer_import_wh,
        SUM(lt_export_wh) + SUM(ht_export_wh) AS consumer_export_wh,
        SUM(unmetered_wh) AS unmetered_wh,
        SUM(unmetered_on_feeder_wh) AS unmetered_on_feeder_wh,
        SUM(lt_loss_wh) AS lt_loss_wh,
        SUM(loss_bound_wh) AS loss_bound_wh,
        SUM(loss_bound_above_wh) AS loss_bound_above_wh,
        SUM(dt_metered) AS dt_metered,
        SUM(dt_total) AS dt_total,
        SUM(meters_expected) AS meters_expected,
        SUM(meters_reported) AS meters_reported,
        SUM(meters_estimated) AS meters_estimated
    FROM parts
    GROUP BY feeder_key, interval_key
),
with_input AS (
    SELECT
        *,
        CASE WHEN feeder_metered AND boundary_metered
            THEN feeder_import_wh - feeder_export_wh + boundary_in_wh - boundary_out_wh END AS input_wh
    FROM summed
)
SELECT
    feeder_key,
    interval_key,
    CASE WHEN feeder_metered THEN feeder_import_wh END AS feeder_import_wh,
    CASE WHEN feeder_metered THEN feeder_export_wh END AS feeder_export_wh,
    CASE WHEN boundary_metered THEN boundary_in_wh END AS boundary_in_wh,
    CASE WHEN boundary_metered THEN boundary_out_wh END AS boundary_out_wh,
    input_wh,
    dt_input_wh,
    ht_import_wh,
    ht_export_wh,
    consumer_import_wh,
    consumer_export_wh,
    unmetered_wh,
    input_wh - dt_input_wh - behind_unmetered_dt_wh - (ht_import_wh - ht_export_wh) - unmetered_on_feeder_wh AS ht_loss_wh,
    lt_loss_wh,
    input_wh + consumer_export_wh - consumer_import_wh - unmetered_wh AS total_loss_wh,
    loss_bound_wh,
    loss_bound_above_wh,
    dt_metered,
    dt_total,
    meters_expected,
    meters_reported,
    meters_estimated
FROM with_input
