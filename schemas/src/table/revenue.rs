//! Billing as imported, and each feeder as a profit centre (FRAMES, DOMAIN section 7).

use super::{
    Column, NEWEST_RECORDED, NEWEST_RESULT, POSITION, PUBLISHED_AT, REASON, RECORDED_AT, SOURCE, TableSchema,
    VERSION, date, flag, money, number, percent, text,
};

const NOT_SAID: &str = "not said";
const NOTHING_SOLD: &str = "nothing was sold";

const fn kwh(name: &'static str, about: &'static str) -> Column {
    number(name, "kWh", about)
}

const fn rate(name: &'static str, about: &'static str) -> Column {
    number(name, "INR/kWh", about)
}

/// A feeder's energy and revenue in a month.
pub static FEEDER_REVENUE_MONTHLY: TableSchema = TableSchema {
    name: "feeder_revenue_monthly",
    about: "energy and revenue of a feeder in a month (CSTEP-WP-2019-01, FRAMES)",
    key: &["feeder_id", "month"],
    newest_by: NEWEST_RESULT,
    versioned: true,
    partition: Some("month"),
    published: false,
    columns: &[
        text("feeder_id", "the feeder"),
        date("month", "first day of the month"),
        kwh("eif_kwh", "energy input to the feeder, boundary energy included")
            .or_null("the feeder's input is not known"),
        kwh("sold_kwh", "energy billed"),
        percent("loss_pct", "input less sold, as a share of input")
            .or_null("the feeder's input is not known or zero"),
        money("billed_inr", "revenue billed, without arrears"),
        money("collected_inr", "revenue collected"),
        rate("abr", "average billing rate: billed / sold").or_null(NOTHING_SOLD),
        rate(
            "adjusted_abr",
            "last year's rate, carried to this year's revenue requirement",
        )
        .or_null("last year's rate is not known"),
        percent("allowable_loss_pct", "loss target").or_null("no target is set"),
        rate(
            "tri",
            "targeted revenue per unit of input: adjusted_abr x (1 - allowable loss)",
        )
        .or_null("the rate or the target is not known"),
        rate("ari", "actual revenue per unit of input: billed / input")
            .or_null("the feeder's input is not known or zero"),
        rate("deviation", "tri - ari").or_null("one of them is not known"),
        flag(
            "arrears_suspected",
            "whether the rate jumped as it does when arrears are mixed in",
        ),
        text("audit", "audit that the loss calls for").or_null("none"),
        VERSION,
        REASON,
        PUBLISHED_AT,
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
    published: false,
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
    published: false,
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
