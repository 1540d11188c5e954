//! What meters said: interval reads, register reads, events.

use super::{
    Column, ColumnType, DAY, INTERVAL_END, METER_ID, NEWEST_VERSION, POSITION, PUBLISHED_AT, REASON,
    RECEIVED_AT, SOURCE, TableSchema, VERSION, count, date, energy, text, time,
};

const NOT_SENT: &str = "not sent";

const READ_VERSION: Column = VERSION.saying(
    "1, 2, … per key: the greatest stands; 0: kept, but it lost to the valid read (or reading) when it came, or said the same and came sooner",
);

/// Every valid read of a meter's interval, as the meter counted; superseded reads beside them as version 0.
pub static INTERVAL_READS: TableSchema = TableSchema {
    name: "interval_reads",
    about: "energy of a meter in one interval, as the meter counted (before its multiplier)",
    key: &["meter_id", "interval_end"],
    newest_by: NEWEST_VERSION,
    versioned: true,
    partition: Some("day"),
    published: true,
    columns: &[
        METER_ID,
        INTERVAL_END,
        energy("import_wh", "energy taken from the network"),
        energy("export_wh", "energy given to the network").or_null("not measured or not sent"),
        Column::new("import_vah", ColumnType::Long, "VAh", "apparent energy taken").or_null(NOT_SENT),
        Column::new("voltage_v", ColumnType::Float, "V", "average voltage").or_null(NOT_SENT),
        Column::new("current_a", ColumnType::Float, "A", "average current").or_null(NOT_SENT),
        text(
            "quality",
            "best first: edited, actual, estimated, missing (an estimate was withdrawn: the energies count in nothing)",
        ),
        text(
            "method",
            "how the value was made: manual (a person set it), or how it was estimated; `reason` says why or from what",
        )
        .or_null("the meter's own value"),
        Column::new(
            "revision",
            ColumnType::Integer,
            "",
            "by which the source corrects itself: the higher wins",
        ),
        time(
            "captured_at",
            "when the meter or its head-end made the read, by its own clock",
        )
        .or_null(NOT_SENT),
        RECEIVED_AT,
        SOURCE,
        POSITION,
        READ_VERSION,
        PUBLISHED_AT,
        REASON,
        DAY,
    ],
};

/// Every cumulative reading.
pub static REGISTER_READS: TableSchema = TableSchema {
    name: "register_reads",
    about: "cumulative registers of a meter at an instant, as the meter counts (before its multiplier)",
    key: &["meter_id", "at"],
    newest_by: NEWEST_VERSION,
    versioned: true,
    partition: Some("day"),
    published: true,
    columns: &[
        METER_ID,
        time("at", "instant of the reading, by the meter's clock"),
        energy("import_wh", "import register").or_null(NOT_SENT),
        energy("export_wh", "export register").or_null("not measured or not sent"),
        RECEIVED_AT,
        SOURCE,
        POSITION,
        READ_VERSION,
        PUBLISHED_AT,
        REASON,
        date("day", "civil day of the reading"),
    ],
};

/// Every event of the meters' event logs.
pub static METER_EVENTS: TableSchema = TableSchema {
    name: "meter_events",
    about: "event of a meter's own event log; events are a set, and only what a code is taken to mean may change, with the event map",
    key: &["meter_id", "at", "code"],
    newest_by: &["sequence", "version", "position"],
    versioned: true,
    partition: Some("day"),
    published: true,
    columns: &[
        METER_ID,
        time("at", "instant of the event, by the meter's clock"),
        Column::new(
            "code",
            ColumnType::Integer,
            "",
            "event code of the configured map (default IS 15959)",
        ),
        text("meaning", "what the code means").or_null("the map has no such code"),
        count("sequence", "the meter's own sequence number").or_null(NOT_SENT),
        RECEIVED_AT,
        SOURCE,
        POSITION,
        VERSION,
        PUBLISHED_AT,
        REASON,
        date("day", "civil day of the event"),
    ],
};
