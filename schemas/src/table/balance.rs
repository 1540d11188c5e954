//! Energy balances (DOMAIN section 2) and read completeness. Energy here is network energy: multipliers are applied.

use super::{
    Column, DAY, INTERVAL_END, INTERVAL_MINUTES, NEWEST_RESULT, PUBLISHED_AT, REASON, TableSchema, VERSION,
    count, date, energy, percent, text, time,
};

const METERS_EXPECTED: Column = count(
    "meters_expected",
    "meters in service that should have reported, the node's own among them",
);
const METERS_REPORTED: Column = count(
    "meters_reported",
    "of those, meters with an actual or edited read",
);
const METERS_ESTIMATED: Column = count("meters_estimated", "of those, meters whose read is estimated");
const COVERAGE_PCT: Column = percent("coverage_pct", "share of the expected meters that reported");
const STATUS: Column = text(
    "status",
    "provisional (may change), final (settled), restated (changed after that), withdrawn (no balance any more)",
);
const COMPUTED_AT: Column = time("computed_at", "when it was computed, by the configured clock");
const CONSUMER_IMPORT_WH: Column = energy("consumer_import_wh", "sum of what consumers' meters took");
const CONSUMER_EXPORT_WH: Column = energy(
    "consumer_export_wh",
    "sum of what consumers' and generation meters gave",
);
const UNMETERED_WH: Column = energy("unmetered_wh", "assessed consumption of unmetered connections");
const LOSS_BOUND_WH: Column = energy(
    "loss_bound_wh",
    "the most that missing consumers could have drawn: the true loss is at most this much below",
);
const LOSS_BOUND_ABOVE_WH: Column = energy(
    "loss_bound_above_wh",
    "the most that missing prosumers and generators could have given: the true loss is at most this much above",
);
const LOSS_PCT: Column = percent("loss_pct", "loss as a share of what came in")
    .or_null("the loss is not known, or nothing came in");

const NO_DT_READ: &str = "the DT's meter has no valid read, or the DT has no meter";
const NO_DT_SUM: &str = "the DT's own energy is not known, or coverage is below the threshold";
const NO_FEEDER_READ: &str = "the feeder's meter has no valid read, or the feeder has no meter";
const NO_BOUNDARY_READ: &str = "a boundary meter has no valid read";
const NO_FEEDER_PART: &str = "one of its parts is not known";
const NO_FEEDER_SUM: &str = "one of its parts is not known, or coverage is below the threshold";

/// Balance of a DT in one interval.
pub static DT_BALANCE: TableSchema = TableSchema {
    name: "dt_balance",
    about: "energy balance of a distribution transformer in one interval: injected = delivered + loss",
    key: &["dt_id", "interval_end"],
    newest_by: NEWEST_RESULT,
    versioned: true,
    partition: Some("day"),
    published: true,
    columns: &[
        text("dt_id", "the DT"),
        INTERVAL_END,
        INTERVAL_MINUTES,
        energy("dt_import_wh", "energy from the feeder into the DT").or_null(NO_DT_READ),
        energy("dt_export_wh", "energy back up through the DT").or_null(NO_DT_READ),
        CONSUMER_IMPORT_WH,
        CONSUMER_EXPORT_WH,
        UNMETERED_WH,
        energy("injected_wh", "dt_import_wh + consumer_export_wh").or_null(NO_DT_READ),
        energy("delivered_wh", "dt_export_wh + consumer_import_wh + unmetered_wh").or_null(NO_DT_READ),
        energy("loss_wh", "injected_wh - delivered_wh").or_null(NO_DT_SUM),
        LOSS_PCT,
        LOSS_BOUND_WH,
        LOSS_BOUND_ABOVE_WH,
        METERS_EXPECTED,
        METERS_REPORTED,
        METERS_ESTIMATED,
        COVERAGE_PCT,
        STATUS,
        VERSION,
        REASON,
        COMPUTED_AT,
        PUBLISHED_AT,
        DAY,
    ],
};

/// Balance of a feeder in one interval.
pub static FEEDER_BALANCE: TableSchema = TableSchema {
    name: "feeder_balance",
    about: "energy balance of an 11 kV feeder in one interval: total loss = 11 kV (HT) loss + loss below the DTs (LT)",
    key: &["feeder_id", "interval_end"],
    newest_by: NEWEST_RESULT,
    versioned: true,
    partition: Some("day"),
    published: true,
    columns: &[
        text("feeder_id", "the feeder"),
        INTERVAL_END,
        INTERVAL_MINUTES,
        energy("feeder_import_wh", "energy from the substation into the feeder").or_null(NO_FEEDER_READ),
        energy("feeder_export_wh", "energy back into the substation").or_null(NO_FEEDER_READ),
        energy("boundary_in_wh", "energy that came from other feeders").or_null(NO_BOUNDARY_READ),
        energy("boundary_out_wh", "energy that went to other feeders").or_null(NO_BOUNDARY_READ),
        energy(
            "input_wh",
            "feeder_import_wh - feeder_export_wh + boundary_in_wh - boundary_out_wh",
        )
        .or_null(NO_FEEDER_PART),
        energy("dt_input_wh", "sum of the DT meters' import less export"),
        energy("ht_import_wh", "sum of what HT consumers took"),
        energy("ht_export_wh", "sum of what HT consumers gave"),
        CONSUMER_IMPORT_WH.saying("sum of what all consumers' meters took, HT and LT"),
        CONSUMER_EXPORT_WH.saying("sum of what all consumers' and generation meters gave, HT and LT"),
        UNMETERED_WH,
        energy(
            "ht_loss_wh",
            "input_wh - dt_input_wh - (ht_import_wh - ht_export_wh)",
        )
        .or_null(NO_FEEDER_SUM),
        energy("lt_loss_wh", "sum of the DTs' losses").or_null("a DT's loss is not known"),
        energy(
            "total_loss_wh",
            "input_wh + consumer_export_wh - consumer_import_wh - unmetered_wh",
        )
        .or_null(NO_FEEDER_SUM),
        LOSS_PCT.saying("total_loss_wh as a share of input_wh + consumer_export_wh"),
        LOSS_BOUND_WH,
        LOSS_BOUND_ABOVE_WH,
        count("dt_metered", "DTs whose meter has a valid read"),
        count("dt_total", "DTs on the feeder"),
        METERS_EXPECTED,
        METERS_REPORTED,
        METERS_ESTIMATED,
        COVERAGE_PCT,
        STATUS,
        VERSION,
        REASON,
        COMPUTED_AT,
        PUBLISHED_AT,
        DAY,
    ],
};

const NO_DAY_LOSS: &str = "not known in any interval of the day, or coverage is below the threshold";

/// Balance of a node on one day, at every level of the hierarchy.
pub static NODE_BALANCE_DAILY: TableSchema = TableSchema {
    name: "node_balance_daily",
    about: "energy balance of a node of any level on one day; children sum to their parent",
    key: &["node_id", "day"],
    newest_by: NEWEST_RESULT,
    versioned: true,
    partition: Some("day"),
    published: true,
    columns: &[
        text("node_id", "the node"),
        date("day", "the civil day in which the intervals began"),
        text(
            "kind",
            "discom, zone, circle, division, subdivision, section, substation, feeder or dt",
        ),
        energy("input_wh", "energy into the node's feeders (or into the DT)"),
        energy("injected_wh", "input and what consumers gave"),
        energy("delivered_wh", "what consumers took, metered and assessed"),
        energy("ht_loss_wh", "11 kV loss").or_null(NO_DAY_LOSS),
        energy("lt_loss_wh", "loss below the DTs").or_null(NO_DAY_LOSS),
        energy("total_loss_wh", "loss where it is known").or_null(NO_DAY_LOSS),
        LOSS_PCT.saying("total_loss_wh as a share of injected_where_known_wh"),
        LOSS_BOUND_WH,
        LOSS_BOUND_ABOVE_WH,
        energy(
            "injected_where_known_wh",
            "injected_wh of the intervals whose loss is known",
        ),
        count(
            "intervals_expected",
            "balances of an interval that the day should have",
        ),
        count(
            "intervals_computed",
            "of those, balances whose sums are known; coverage is judged over the whole day",
        ),
        METERS_EXPECTED.saying("reads that the day should have: meters times intervals"),
        METERS_REPORTED.saying("of those, reads that are actual or edited"),
        METERS_ESTIMATED.saying("of those, reads that are estimated"),
        COVERAGE_PCT.saying("share of the expected reads that came"),
        STATUS,
        VERSION,
        REASON,
        PUBLISHED_AT,
    ],
};

/// How complete and how timely the reads of a day were (AMISP service levels).
pub static READ_COMPLETENESS: TableSchema = TableSchema {
    name: "read_completeness",
    about: "how many of a day's interval reads came, and how soon after the day's end (AMISP service levels)",
    key: &["node_id", "day"],
    newest_by: NEWEST_RESULT,
    versioned: true,
    partition: Some("day"),
    published: true,
    columns: &[
        text("node_id", "the node"),
        date("day", "the civil day in which the intervals began"),
        count(
            "expected",
            "reads that the day should have: by_24h, later, estimated and missing together",
        ),
        count(
            "by_8h",
            "reads whose first valid value came within 8 h of the day's end",
        ),
        count("by_12h", "within 12 h, by_8h among them"),
        count("by_24h", "within 24 h, by_12h among them"),
        count("later", "reads whose first valid value came after 24 h"),
        count("estimated", "intervals that hold an estimate"),
        count("missing", "intervals that hold nothing"),
        VERSION,
        REASON,
        PUBLISHED_AT,
    ],
};
