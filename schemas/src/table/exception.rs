//! What could not be taken as it came: validation exceptions and quarantine.

use super::{
    Column, ColumnType, DAY, INTERVAL_END, METER_ID, NEWEST_VERSION, POSITION, PUBLISHED_AT, REASON,
    RECEIVED_AT, SOURCE, TableSchema, VERSION, date, number, text, time,
};

/// Reads that a validation rule objects to.
pub static VEE_EXCEPTIONS: TableSchema = TableSchema {
    name: "vee_exceptions",
    about: "objection of a validation rule to a read (or to its absence)",
    key: &["exception_id"],
    newest_by: NEWEST_VERSION,
    versioned: true,
    partition: Some("day"),
    published: true,
    columns: &[
        text(
            "exception_id",
            "meter, interval and rule: the same objection has the same id",
        ),
        METER_ID,
        INTERVAL_END,
        text("rule", "the rule, such as reported_missing"),
        number("value", "", "what the rule measured, in the rule's own unit")
            .or_null("the rule measures nothing"),
        text("detail", "the objection in words").or_null("the rule says it all"),
        time("at", "when it was raised, by the configured clock"),
        time("resolved_at", "when a value came that the rule accepts").or_null("still open"),
        POSITION,
        VERSION,
        PUBLISHED_AT,
        REASON,
        DAY,
    ],
};

/// What was stored and acknowledged but counts in nothing yet.
pub static QUARANTINE: TableSchema = TableSchema {
    name: "quarantine",
    about: "payload, or part of one, that was stored and acknowledged but counts in no result yet",
    key: &["exception_id"],
    newest_by: NEWEST_VERSION,
    versioned: true,
    partition: Some("day"),
    published: true,
    columns: &[
        text(
            "exception_id",
            "log record and part: the same payload has the same id",
        ),
        RECEIVED_AT,
        text("topic", "topic as received").or_null("it did not come over MQTT, or its record keeps no topic"),
        SOURCE,
        METER_ID.or_null("it names no meter that can be read"),
        INTERVAL_END.or_null("it concerns more than one interval, or none that can be read"),
        text("reason", "why it is here"),
        Column::new(
            "payload",
            ColumnType::Bytes,
            "",
            "the payload as received, or the part of one meter as JSON",
        ),
        text("content_type", "MQTT 5 content type as received").or_null("none was sent"),
        POSITION,
        time("released_at", "when master data or a rule change made it good").or_null("still held"),
        VERSION.saying("1: held, 2: released; the greatest stands"),
        PUBLISHED_AT,
        date("day", "civil day on which it was received"),
    ],
};
