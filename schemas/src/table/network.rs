//! Master data as imported: the network, and what is planned on it. Each row says when it was learnt and from where.

use super::{
    Column, ColumnType, INTERVAL_MINUTES, METER_ID, NEWEST_RECORDED, POSITION, PUBLISHED_AT, RECORDED_AT,
    SOURCE, TableSchema, VALID_FROM, VALID_TO, number, percent, text, time,
};

const NOT_SAID: &str = "not said";

/// The hierarchy.
pub static NODES: TableSchema = TableSchema {
    name: "nodes",
    about: "node of the hierarchy, effective-dated",
    key: &["node_id", "valid_from"],
    newest_by: NEWEST_RECORDED,
    versioned: false,
    partition: None,
    published: true,
    columns: &[
        text("node_id", "the node"),
        text(
            "kind",
            "discom, zone, circle, division, subdivision, section, substation, feeder or dt",
        ),
        text("parent_id", "the node above").or_null("a discom"),
        text("name", "name for people"),
        text(
            "area_class",
            "metro, urban, rural or class1; decides compensation limits",
        )
        .or_null(NOT_SAID),
        number("lat", "°", "latitude").or_null(NOT_SAID),
        number("lon", "°", "longitude").or_null(NOT_SAID),
        number("capacity_kva", "kVA", "rated capacity").or_null(NOT_SAID),
        percent("allowable_loss_pct", "loss target, of input").or_null(NOT_SAID),
        percent("technical_loss_pct", "computed technical loss, of input").or_null(NOT_SAID),
        VALID_FROM,
        VALID_TO,
        RECORDED_AT,
        SOURCE,
        POSITION,
        PUBLISHED_AT,
    ],
};

/// The meters.
pub static METERS: TableSchema = TableSchema {
    name: "meters",
    about: "meter and what it measures, effective-dated",
    key: &["meter_id", "valid_from"],
    newest_by: NEWEST_RECORDED,
    versioned: false,
    partition: None,
    published: true,
    columns: &[
        METER_ID,
        text("role", "consumer, dt, feeder, boundary or generation"),
        text(
            "node_id",
            "the DT or feeder measured; of a boundary meter its own feeder",
        )
        .or_null("a consumer or generation meter: its connection says where it hangs"),
        text("boundary_to", "the feeder on the other side").or_null("no boundary meter"),
        INTERVAL_MINUTES.saying("length of its load-profile interval: 15 or 30"),
        number(
            "multiplier",
            "",
            "multiplying factor: CT ratio x PT ratio, three decimals",
        ),
        VALID_FROM,
        VALID_TO,
        RECORDED_AT,
        SOURCE,
        POSITION,
        PUBLISHED_AT,
    ],
};

/// The connections: consumer indexing.
pub static CONNECTIONS: TableSchema = TableSchema {
    name: "connections",
    about: "consumer's connection: where it hangs and how it is metered, effective-dated",
    key: &["consumer_id", "meter_id", "valid_from"],
    newest_by: NEWEST_RECORDED,
    versioned: false,
    partition: None,
    published: true,
    columns: &[
        text("consumer_id", "the consumer: service connection number"),
        METER_ID.saying("its meter").or_null("unmetered"),
        text("node_id", "the DT it hangs on; the feeder for HT"),
        text("category", "tariff category, such as LT-domestic"),
        text("supply", "LT or HT"),
        Column::new("phases", ColumnType::Short, "", "phases: 1 or 3"),
        number("sanctioned_load_kw", "kW", "sanctioned load").or_null(NOT_SAID),
        text("metering", "prepaid, postpaid or unmetered"),
        text("prosumer", "none, net_metering, net_billing or gross_metering"),
        number("assessed_kwh_month", "kWh", "assessed consumption a month")
            .or_null("metered, or not assessed"),
        VALID_FROM,
        VALID_TO,
        RECORDED_AT,
        SOURCE,
        POSITION,
        PUBLISHED_AT,
    ],
};

/// Outages announced beforehand.
pub static PLANNED_OUTAGES: TableSchema = TableSchema {
    name: "planned_outages",
    about: "outage announced beforehand",
    key: &["node_id", "start"],
    newest_by: NEWEST_RECORDED,
    versioned: false,
    partition: None,
    published: true,
    columns: &[
        text("node_id", "the node that is switched off"),
        time("start", "planned begin"),
        time("end", "planned end"),
        text("class", "PLANNED, SCHEDULED_ROSTERING or EMERGENCY_ROSTERING"),
        text("reason", "why it is planned").or_null(NOT_SAID),
        time("notice_at", "when consumers were told").or_null("no notice was given"),
        RECORDED_AT,
        SOURCE,
        POSITION,
        PUBLISHED_AT,
    ],
};

/// Hours in which a feeder or a category is supplied.
pub static SUPPLY_HOURS: TableSchema = TableSchema {
    name: "supply_hours",
    about: "hours in which a node or a category is to be supplied (Rules 2020, 10(1)), effective-dated",
    key: &["node_id", "category", "weekdays", "from", "valid_from"],
    newest_by: NEWEST_RECORDED,
    versioned: false,
    partition: None,
    published: true,
    columns: &[
        text("node_id", "the node").or_null("the row is of a category"),
        text("category", "the tariff category").or_null("the row is of a node"),
        text("weekdays", "weekdays on which it holds, such as mon;tue, or all"),
        text("from", "begin of supply, HH:MM in the configured zone"),
        text("to", "end of supply, HH:MM in the configured zone"),
        VALID_FROM,
        VALID_TO,
        RECORDED_AT,
        SOURCE,
        POSITION,
        PUBLISHED_AT,
    ],
};

/// Requests whose handling has a standard of its own.
pub static SERVICE_REQUESTS: TableSchema = TableSchema {
    name: "service_requests",
    about: "consumer's request whose handling has a time limit (Rules 2020, 13(4)(iii) to (ix))",
    key: &["request_id"],
    newest_by: NEWEST_RECORDED,
    versioned: false,
    partition: None,
    published: true,
    columns: &[
        text("request_id", "the request"),
        text("consumer_id", "the consumer"),
        text("kind", "what was asked for"),
        time("opened_at", "when it was made"),
        time("closed_at", "when it was met").or_null("still open"),
        RECORDED_AT,
        SOURCE,
        POSITION,
        PUBLISHED_AT,
    ],
};

/// Consumers' claims.
pub static CLAIMS: TableSchema = TableSchema {
    name: "claims",
    about: "consumer's claim for compensation that is owed on claim, and whether it was upheld",
    key: &["claim_id"],
    newest_by: NEWEST_RECORDED,
    versioned: false,
    partition: None,
    published: true,
    columns: &[
        text("claim_id", "the claim"),
        text("consumer_id", "who claims"),
        text(
            "about",
            "for what: supply:{instant without supply}, outage:{outage_id}, request:{request_id} or period:{standard}:{first day}",
        ),
        time("filed_at", "when it was filed"),
        time("upheld_at", "when forum or ombudsman upheld it").or_null("not, or not yet"),
        RECORDED_AT,
        SOURCE,
        POSITION,
        PUBLISHED_AT,
    ],
};
