//! Billing as imported, and each feeder as a profit centre (FRAMES, DOMAIN section 7).

use super::{
    Column, DAY, INTERVAL_END, METER_ID, NEWEST_RECORDED, NEWEST_RESULT, POSITION, PUBLISHED_AT, REASON,
    RECORDED_AT, SOURCE, TableSchema, VERSION, count, date, energy, flag, money, number, percent, text, time,
};

const NOT_SAID: &str = "not said";

const fn kwh(name: &'static str, about: &'static str) -> Column {
    number(name, "kWh", about)
}

const fn rate(name: &'static str, about: &'static str) -> Column {
    number(name, "INR/kWh", about)
}

const INPUT_UNKNOWN: &str = "the feeder's input is not known";
const NO_BILL: &str = "no bill of the month is known yet";
const NOT_WHOLE: &str =
    "the month runs, a day of it has no balance, too little of its input is known, or no bill of it is";
const NO_TARGET: &str = "last year's rate, the accounts of either year, or the target is not known";

/// A feeder's energy and revenue in a month.
pub static FEEDER_REVENUE_MONTHLY: TableSchema = TableSchema {
    name: "feeder_revenue_monthly",
    about: "energy and revenue of a feeder in a month (CSTEP-WP-2019-01, FRAMES)",
    key: &["feeder_id", "month"],
    newest_by: NEWEST_RESULT,
    versioned: true,
    partition: Some("month"),
    published: true,
    columns: &[
        text("feeder_id", "the feeder"),
        date("month", "first day of the month"),
        count("days", "days of the month with a balance"),
        kwh("eif_kwh", "energy input to the feeder, boundary energy included, where it is known")
            .or_null(INPUT_UNKNOWN),
        percent("eif_coverage_pct", "share of the days' intervals whose input is known")
            .or_null("the month has no balance"),
        kwh("sold_kwh", "energy billed").or_null(NO_BILL),
        percent("loss_pct", "input less sold, as a share of input").or_null(NOT_WHOLE),
        money("billed_inr", "revenue billed, without arrears, with the subsidy that the State pays").or_null(NO_BILL),
        money("collected_inr", "revenue collected").or_null(NO_BILL),
        rate("abr", "average billing rate: billed / sold").or_null("no bill is known, or nothing was sold"),
        rate(
            "adjusted_abr",
            "last year's rate of the feeder, carried to this year by the ratio of the discom's average revenue realised",
        )
        .or_null("last year's rate, or the accounts of either year, is not known"),
        percent("allowable_loss_pct", "loss target at the end of the month: the feeder's own, else of the nearest node above")
            .or_null("no target is set"),
        rate(
            "tri",
            "targeted revenue per unit of input: adjusted_abr x (1 - allowable loss)",
        )
        .or_null(NO_TARGET),
        rate("ari", "actual revenue per unit of input: billed / input").or_null(NOT_WHOLE),
        rate("deviation", "tri - ari").or_null("one of them is not known"),
        money("target_inr", "revenue that the input so far should bring: tri x input").or_null(NO_TARGET),
        money("deviation_inr", "target less billed").or_null("tri or ari is not known"),
        flag(
            "arrears_suspected",
            "whether the rate is above the median of the year's other months as it is when arrears are mixed in",
        ),
        text("audit", "audit that the loss calls for: technical_and_commercial").or_null("none"),
        VERSION,
        REASON,
        PUBLISHED_AT,
    ],
};

const BILLED_NOTHING: &str =
    "there was nothing to make an estimate of: the bill holds nothing for the interval";
const ADJUSTMENT_WITHDRAWN: &str = "withdrawn: it was not billed as an estimate after all";

/// Late reads of intervals that were billed as estimates.
pub static BILLING_ADJUSTMENTS: TableSchema = TableSchema {
    name: "billing_adjustments",
    about: "read that came after its interval had been billed as an estimate: the bill stays, a later one carries the difference",
    key: &["meter_id", "interval_end"],
    newest_by: NEWEST_RESULT,
    versioned: true,
    partition: Some("day"),
    published: true,
    columns: &[
        METER_ID,
        INTERVAL_END,
        text("consumer_id", "the consumer whom the meter served then"),
        date("month", "first day of the month that was billed"),
        time(
            "billed_at",
            "when the month's first bill was recorded: what came in the same step after the day's end (8, 12, 24 h, then days) counts as billed",
        )
        .or_null(ADJUSTMENT_WITHDRAWN),
        text("method", "how the estimate that was billed follows from what had come by then").or_null(BILLED_NOTHING),
        energy("billed_import_wh", "import of that estimate, as the meter counts").or_null(BILLED_NOTHING),
        energy("billed_export_wh", "export of that estimate").or_null("the meter sends none, or nothing was billed"),
        energy("actual_import_wh", "import that the meter said since").or_null(ADJUSTMENT_WITHDRAWN),
        energy("actual_export_wh", "export that the meter said since").or_null("not said, or withdrawn"),
        energy("adjustment_import_wh", "actual less billed import, as the meter counts").or_null(ADJUSTMENT_WITHDRAWN),
        energy("adjustment_export_wh", "actual less billed export").or_null(ADJUSTMENT_WITHDRAWN),
        VERSION,
        PUBLISHED_AT,
        REASON,
        DAY,
    ],
};

/// Billing as imported.
pub static BILLING: TableSchema = TableSchema {
    name: "billing",
    about: "a consumer's bill of a month, as imported",
    key: &["consumer_id", "month"],
    newest_by: NEWEST_RECORDED,
    versioned: false,
    partition: Some("month"),
    published: true,
    columns: &[
        text("consumer_id", "the consumer"),
        date("month", "first day of the month"),
        kwh("billed_kwh", "energy billed"),
        money("billed_inr", "amount billed, without arrears"),
        money("fixed_inr", "fixed charges in it").or_null(NOT_SAID),
        money("arrears_inr", "arrears demanded beside it").or_null(NOT_SAID),
        money("subsidy_inr", "subsidy that the State pays").or_null(NOT_SAID),
        money("collected_inr", "amount collected").or_null(NOT_SAID),
        RECORDED_AT,
        SOURCE,
        POSITION,
        PUBLISHED_AT,
    ],
};

/// The discom's accounts of a financial year, as imported.
pub static DISCOM_ACCOUNTS: TableSchema = TableSchema {
    name: "discom_accounts",
    about: "the discom's accounts of a financial year, as imported",
    key: &["year"],
    newest_by: NEWEST_RECORDED,
    versioned: false,
    partition: None,
    published: true,
    columns: &[
        text("year", "financial year April to March, such as 2018-19"),
        kwh("sales_kwh", "energy sold"),
        money("power_purchase_inr", "power purchase"),
        money("om_inr", "operation and maintenance"),
        money("depreciation_inr", "depreciation"),
        money("interest_inr", "interest"),
        money("revenue_inr", "revenue"),
        money("subsidy_inr", "subsidy").or_null(NOT_SAID),
        RECORDED_AT,
        SOURCE,
        POSITION,
        PUBLISHED_AT,
    ],
};
