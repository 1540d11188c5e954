//! How far publishing has come.

use super::{PUBLISHED_AT, TableSchema, count};

/// One row a checkpoint, written after all other tables: recovery begins after its position, and CONS-1 is counted on from it.
pub static CHECKPOINTS: TableSchema = TableSchema {
    name: "checkpoints",
    about: "checkpoint: every table holds what the log said up to its position; counts are since the tables were empty",
    key: &["position"],
    newest_by: &["position", "published_at"],
    versioned: false,
    partition: None,
    published: true,
    columns: &[
        count("position", "last log record that the tables hold"),
        PUBLISHED_AT,
        count(
            "complete_position",
            "last log record of which the tables hold all that follows from it; less than position while days are owed",
        ),
        count(
            "feeder_days_owed",
            "days of feeders of which master data changed and that still stand as they were before",
        ),
        count("records", "log records applied"),
        count("reads", "interval reads in them"),
        count("reads_accepted", "reads that became the valid value"),
        count(
            "reads_superseded",
            "reads that lost to the valid value; kept with version 0",
        ),
        count("reads_duplicate", "reads that were here before"),
        count("reads_quarantined", "reads put into quarantine"),
        count(
            "reads_reported_missing",
            "reads that their source reported as missing",
        ),
        count(
            "reads_released",
            "reads released from quarantine; counted again as what they became",
        ),
        count(
            "reads_not_in_service",
            "of the accepted and superseded, reads of meters without master data for their interval",
        ),
        count("registers", "register reads"),
        count(
            "registers_accepted",
            "register reads that became the valid reading",
        ),
        count(
            "registers_superseded",
            "register reads that lost to another of the same instant; version 0",
        ),
        count("registers_duplicate", "register reads that were here before"),
        count("registers_quarantined", "register reads put into quarantine"),
        count("registers_released", "register reads released from quarantine"),
        count("events", "events"),
        count("events_accepted", "events that were new"),
        count("events_duplicate", "events that were here before"),
        count("events_quarantined", "events put into quarantine"),
        count("events_released", "events released from quarantine"),
        count("undecodable", "payloads that could not be decoded"),
        count("master_rows_changed", "master rows that changed something"),
        count("master_rows_known", "master rows that said what was known"),
    ],
};
