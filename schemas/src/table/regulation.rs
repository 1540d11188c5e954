//! Outages, interruptions, reliability indices and compensation (DOMAIN sections 5 and 6).

use super::{
    Column, NEWEST_RESULT, POSITION, PUBLISHED_AT, REASON, RECORDED_AT, SOURCE, TableSchema, VERSION, count,
    date, flag, money, number, text, time,
};

const NOT_SAID: &str = "not said";
const EVIDENCE: Column = text("evidence", "JSON: what it rests on, down to meter events");

/// Outages of the network.
pub static OUTAGES: TableSchema = TableSchema {
    name: "outages",
    about: "outage of a service line, DT, feeder or more; one id from first sign to last restoration",
    key: &["outage_id"],
    newest_by: NEWEST_RESULT,
    versioned: true,
    partition: Some("month"),
    published: true,
    columns: &[
        text("outage_id", "the outage"),
        text("node_id", "the lowest node that it covers"),
        text("scope", "service_line, dt, feeder or substation"),
        text(
            "class",
            "BREAKDOWN, PLANNED, SCHEDULED_ROSTERING or EMERGENCY_ROSTERING",
        ),
        text(
            "status",
            "SCHEDULED, ACTIVE, PARTIALLY_RESTORED, RESTORED or CANCELLED",
        ),
        text("cause", "cause as the crew recorded it").or_null("not recorded"),
        text("fault_type", "fault type of the regulation").or_null("not recorded: the scope decides"),
        flag("force_majeure", "whether it is exempt as force majeure"),
        time("started_at", "first interruption"),
        time("ended_at", "last restoration").or_null("not over"),
        time("etr", "estimated time of restoration").or_null("nobody can say, or it is over"),
        text(
            "etr_basis",
            "crew (people said so), announced (its planned end), or an estimate, the median of past_outages_of_scope_and_fault_type or past_outages_of_scope",
        )
        .or_null("no etr"),
        count("etr_outages", "past outages that the estimate is the median of").or_null("etr is no estimate"),
        count("consumers_affected", "consumers that it interrupted"),
        EVIDENCE,
        VERSION,
        count("sequence", "1, 2, … of all rows of the table as they were published, without a gap: a cursor for who follows it"),
        REASON,
        PUBLISHED_AT,
        date(
            "month",
            "first day of the month in which it began, as first published",
        ),
    ],
};

/// What people said of outages. Its newest word on each thing stands in `outages`.
pub static OUTAGE_CAUSES: TableSchema = TableSchema {
    name: "outage_causes",
    about: "what a person said of an outage: cause, fault type, force majeure, expected restoration",
    key: &["node_id", "started_at", "recorded_at", "person"],
    newest_by: &["position"],
    versioned: false,
    partition: None,
    published: true,
    columns: &[
        text("outage_id", "the outage, as it was named then"),
        text("node_id", "its node then"),
        time("started_at", "its begin then"),
        text("person", "who said it"),
        text("cause", "the cause").or_null(NOT_SAID),
        text("fault_type", "fault type of the regulation").or_null(NOT_SAID),
        flag("force_majeure", "whether it is exempt as force majeure").or_null(NOT_SAID),
        time("etr", "estimated time of restoration").or_null(NOT_SAID),
        RECORDED_AT.saying("when it was said: of two words on one thing the later stands"),
        SOURCE,
        POSITION,
        PUBLISHED_AT,
    ],
};

/// Interruptions of single consumers.
pub static INTERRUPTIONS: TableSchema = TableSchema {
    name: "interruptions",
    about: "interruption of one consumer, from power failure to restoration",
    key: &["consumer_id", "started_at"],
    newest_by: NEWEST_RESULT,
    versioned: true,
    partition: Some("month"),
    published: true,
    columns: &[
        text("consumer_id", "the consumer"),
        time("started_at", "power failure, by the meter's clock"),
        text("outage_id", "the outage it is part of"),
        time("ended_at", "restoration").or_null("not over"),
        number("minutes", "min", "how long it lasted").or_null("not over"),
        flag(
            "sustained",
            "whether it lasted longer than the momentary threshold",
        )
        .or_null("not over"),
        text("class", "class of the outage"),
        text(
            "excluded_because",
            "why it counts in no index: prepaid_cut_off, disconnected, outside_supply_hours, or withdrawn (later evidence took it back)",
        )
        .or_null("it counts"),
        EVIDENCE,
        VERSION,
        REASON,
        PUBLISHED_AT,
        date("month", "first day of the month in which it began"),
    ],
};

const NO_CONSUMERS: &str = "no consumers were served";
const NO_INTERRUPTIONS: &str = "no consumer was interrupted";

/// Reliability indices (IEEE 1366, and the feeder-based returns of the Standards of Performance).
pub static RELIABILITY_MONTHLY: TableSchema = TableSchema {
    name: "reliability_monthly",
    about: "reliability indices of a node in a month (IEEE 1366)",
    key: &["node_id", "month", "basis", "med"],
    newest_by: NEWEST_RESULT,
    versioned: true,
    partition: Some("month"),
    published: true,
    columns: &[
        text("node_id", "the node"),
        date("month", "first day of the month"),
        text(
            "basis",
            "consumer (each meter's own) or feeder (as the SoP returns count)",
        ),
        text("med", "major event days: included or excluded"),
        count("consumers_served", "consumers served"),
        count(
            "customer_interruptions",
            "sustained interruptions, summed over consumers",
        ),
        number(
            "customer_minutes",
            "min",
            "minutes of sustained interruption, summed over consumers",
        ),
        count("momentary", "momentary interruptions, summed over consumers"),
        number("saifi", "", "sustained interruptions per consumer served").or_null(NO_CONSUMERS),
        number(
            "saidi_minutes",
            "min",
            "minutes of interruption per consumer served",
        )
        .or_null(NO_CONSUMERS),
        number("caidi_minutes", "min", "minutes per interruption").or_null(NO_INTERRUPTIONS),
        number("maifi", "", "momentary interruptions per consumer served").or_null(NO_CONSUMERS),
        number("maifi_e", "", "momentary events per consumer served").or_null(NO_CONSUMERS),
        number("asai", "", "share of the period with supply, 0 to 1").or_null(NO_CONSUMERS),
        number("caifi", "", "sustained interruptions per consumer interrupted").or_null(NO_INTERRUPTIONS),
        number("ctaidi_minutes", "min", "minutes per consumer interrupted").or_null(NO_INTERRUPTIONS),
        number(
            "cemi_3",
            "",
            "share of consumers with three or more sustained interruptions, 0 to 1",
        )
        .or_null(NO_CONSUMERS),
        number(
            "celid_8h",
            "",
            "share of consumers with one interruption of 8 h or more, 0 to 1",
        )
        .or_null(NO_CONSUMERS),
        VERSION,
        REASON,
        PUBLISHED_AT,
    ],
};

const NO_MINUTES: &str = "the standard counts interruptions or days";

/// The ledger of compensation: entries are only added (CMP-1).
pub static COMPENSATION_ENTRIES: TableSchema = TableSchema {
    name: "compensation_entries",
    about: "entry of the compensation ledger; what a consumer is owed is the sum of its entries",
    key: &["entry_id"],
    newest_by: NEWEST_RESULT,
    versioned: true,
    partition: Some("month"),
    published: true,
    columns: &[
        text("entry_id", "the entry; the same default has the same id"),
        text("consumer_id", "the consumer"),
        text("outage_id", "the outage").or_null("the default is no outage"),
        text("kind", "accrual, adjustment or reversal"),
        text("regulation", "preset of the regulation, such as IN-MH-MERC-2021"),
        text("clause", "its clause"),
        number("limit_minutes", "min", "limit of the standard").or_null(NO_MINUTES),
        number("default_minutes", "min", "time beyond the limit").or_null(NO_MINUTES),
        money("amount_inr", "amount; a reversal is negative"),
        date("due_by", "last day for the credit").or_null("the regulation sets none"),
        text("status", "accruing, due, exported or credited"),
        time("created_at", "when the entry was made, by the configured clock"),
        text("explains", "the entry that it adjusts").or_null("an accrual"),
        text(
            "default_key",
            "what it is for: outage:…, request:… or period:standard:first day",
        ),
        count(
            "sequence",
            "place among the entries of this consumer and default, from 1",
        ),
        text("standard", "the standard of the regulation"),
        count("revision", "edition of the preset"),
        text("made_by", "who proposed it for approval").or_null("nobody"),
        text("checked_by", "who approved it").or_null("nobody"),
        count(
            "feed_sequence",
            "place of this version in the billing feed: grows with every version of any entry",
        ),
        VERSION.saying("1, 2, … as its status moves; amounts never change"),
        REASON,
        PUBLISHED_AT,
        date("month", "first day of the month in which the entry was made"),
    ],
};

/// What billing systems acknowledged: one row for each entry that a word names.
pub static COMPENSATION_ACKNOWLEDGEMENTS: TableSchema = TableSchema {
    name: "compensation_acknowledgements",
    about: "what a billing system said of an entry; the same key is the same word",
    key: &["idempotency_key", "entry_id"],
    newest_by: &["position"],
    versioned: false,
    partition: None,
    published: true,
    columns: &[
        text("idempotency_key", "the billing system's name of this word"),
        text("entry_id", "the entry"),
        text("status", "exported or credited"),
        text("reference", "the billing system's own reference").or_null("none given"),
        text(
            "digest",
            "of what the whole word says: another digest under one key is refused",
        ),
        RECORDED_AT.saying("when it was received"),
        SOURCE,
        POSITION,
        PUBLISHED_AT,
    ],
};
