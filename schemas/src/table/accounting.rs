//! Energy accounting of nodes by month, and who answers for feeders.

use super::{
    Column, NEWEST_RECORDED, NEWEST_RESULT, POSITION, PUBLISHED_AT, REASON, RECORDED_AT, SOURCE, TableSchema,
    VALID_FROM, VALID_TO, VERSION, count, date, money, number, percent, text,
};

const NOT_SAID: &str = "not said";

const fn kwh(name: &'static str, about: &'static str) -> Column {
    number(name, "kWh", about)
}

const NO_INPUT: &str = "of no feeder is the input known";
const NO_BILL: &str = "no bill of the month is known yet";
const NONE_KNOWN: &str = "feeders_known is 0";

/// Energy accounting of a node in a month.
pub static ENERGY_ACCOUNTING_MONTHLY: TableSchema = TableSchema {
    name: "energy_accounting_monthly",
    about: "energy accounting of a node in a month (BEE 2021): input, billed, collected, AT&C loss, and consumption bands; each feeder counts where it hung at the month's end",
    key: &["node_id", "month"],
    newest_by: NEWEST_RESULT,
    versioned: true,
    partition: Some("month"),
    published: true,
    columns: &[
        text("node_id", "the node: a feeder or any level above"),
        text("kind", "its kind: feeder, substation, section, … discom"),
        date("month", "first day of the month"),
        count("feeders", "feeders at or below it of which something is known; 0: withdrawn, they hang elsewhere"),
        count(
            "feeders_known",
            "of these, those whose loss is known: the month is over, each day has a balance, enough of the input is known, it was billed",
        ),
        kwh("input_kwh", "energy input of all of them where it is known, boundary energy counted").or_null(NO_INPUT),
        percent("input_coverage_pct", "share of the intervals whose input is known").or_null("there is no balance"),
        kwh("input_known_kwh", "energy input of feeders_known").or_null(NONE_KNOWN),
        kwh("billed_known_kwh", "energy billed of feeders_known").or_null(NONE_KNOWN),
        count("consumers_billed", "consumers with a bill of the month"),
        kwh("billed_kwh", "energy billed to all of them").or_null(NO_BILL),
        kwh("unmetered_kwh", "of billed_kwh, energy of connections without a meter: assessed").or_null(NO_BILL),
        money("billed_inr", "revenue billed, without arrears, with the subsidy that the State pays").or_null(NO_BILL),
        money("subsidy_inr", "of billed_inr, the subsidy").or_null(NO_BILL),
        money("collected_inr", "revenue collected, arrears included").or_null(NO_BILL),
        money(
            "demanded_known_inr",
            "demanded of consumers, without arrears and subsidy, in the bills of which it is said what was paid",
        )
        .or_null(NO_BILL),
        money(
            "collected_current_inr",
            "collected of demanded_known_inr: of each bill at most what it demands; what was paid beyond is arrears or an advance",
        )
        .or_null(NO_BILL),
        percent("billing_efficiency_pct", "billed_known_kwh / input_known_kwh").or_null(NONE_KNOWN),
        percent("collection_efficiency_pct", "collected_current_inr / demanded_known_inr").or_null(
            "nothing was demanded, or it is said of too little of the demand what was paid (balance.coverage_threshold_pct)",
        ),
        percent("atc_loss_pct", "aggregate technical and commercial loss: 1 - billing efficiency x collection efficiency")
            .or_null("one of the efficiencies is not known"),
        count("low_consumers", "consumers billed at most revenue.low_consumption_kwh in the month"),
        kwh("low_kwh", "their energy").or_null(NO_BILL),
        money("low_inr", "their revenue").or_null(NO_BILL),
        count("medium_consumers", "consumers billed more than that, at most revenue.high_consumption_kwh"),
        kwh("medium_kwh", "their energy").or_null(NO_BILL),
        money("medium_inr", "their revenue").or_null(NO_BILL),
        count("high_consumers", "consumers billed more"),
        kwh("high_kwh", "their energy").or_null(NO_BILL),
        money("high_inr", "their revenue").or_null(NO_BILL),
        VERSION,
        REASON,
        PUBLISHED_AT,
    ],
};

/// Who answers for a feeder.
pub static FEEDER_MANAGERS: TableSchema = TableSchema {
    name: "feeder_managers",
    about: "who answers for a feeder, effective-dated; a further row under its key is a new version, in feeder_managers_history",
    key: &["feeder_id", "valid_from"],
    newest_by: NEWEST_RECORDED,
    versioned: false,
    partition: None,
    published: true,
    columns: &[
        text("feeder_id", "the feeder"),
        text("manager", "who answers for it"),
        text("contact", "how he is reached").or_null(NOT_SAID),
        VALID_FROM,
        VALID_TO.saying("holds until before this instant; not after valid_from: withdrawn"),
        RECORDED_AT,
        SOURCE,
        POSITION,
        PUBLISHED_AT,
    ],
};

/// Causes of deviation and what is planned against them.
pub static FEEDER_ACTIONS: TableSchema = TableSchema {
    name: "feeder_actions",
    about: "what a person said of a feeder's deviation in a month: cause and planned mitigation; every version is in feeder_actions_history",
    key: &["action_id"],
    newest_by: NEWEST_RECORDED,
    versioned: false,
    partition: None,
    published: true,
    columns: &[
        text("action_id", "the id under which its versions are said"),
        text("feeder_id", "the feeder"),
        date("month", "first day of the month of the deviation"),
        text("person", "who said this version"),
        text("cause", "where the deviation comes from"),
        text("mitigation", "what is planned against it").or_null("nothing yet"),
        date("starts_on", "when that is to begin").or_null(NOT_SAID),
        date("due_on", "when it is to be done").or_null(NOT_SAID),
        date("done_on", "when it was done").or_null("not yet"),
        text("status", "open, done or withdrawn"),
        RECORDED_AT,
        SOURCE,
        POSITION,
        PUBLISHED_AT,
    ],
};
