//! Suspicion, with evidence, by month.

use super::{
    NEWEST_RESULT, PUBLISHED_AT, REASON, TableSchema, VERSION, date, energy, flag, number, percent, text,
};

const OF_A_DT: &str = "the sign is of a DT";

/// Signs of unaccounted energy, of a DT or of a consumer, each with what it rests on.
pub static SUSPICIONS: TableSchema = TableSchema {
    name: "suspicions",
    about: "sign that energy is not accounted for, of a DT or of a consumer in a month: grounds to look, never a proof",
    key: &["suspicion_id"],
    newest_by: NEWEST_RESULT,
    versioned: true,
    partition: Some("month"),
    published: true,
    columns: &[
        text(
            "suspicion_id",
            "month, sign and DT or meter: the same sign has the same id",
        ),
        date("month", "first day of the month that was judged"),
        text("kind", "of whom: dt or consumer"),
        text("node_id", "the DT, or the feeder of an HT consumer"),
        text("feeder_id", "the feeder at the month's begin"),
        text("consumer_id", "the consumer").or_null(OF_A_DT),
        text("meter_id", "the consumer's meter that was looked at").or_null(OF_A_DT),
        text(
            "sign",
            "unaccounted_energy, negative_residual, night_residual, residual_follows, tamper_before_drop, bill_below_reads or wrong_mapping",
        ),
        number("value", "", "what was measured, a share or ratio; see the sign"),
        number("threshold", "", "what it is held against").or_null("the rule wrong_mapping has its own"),
        number(
            "strength",
            "",
            "0.5 at the threshold, 1 where it is sure; of unaccounted_energy the confidence in it",
        ),
        number(
            "weight",
            "",
            "how much the sign says at full strength: house choice",
        ),
        energy("energy_wh", "the energy that it speaks of").or_null("it has none of its own"),
        energy(
            "bound_wh",
            "by how much that energy may be less, for what meters did not say",
        ),
        percent(
            "coverage_pct",
            "coverage in the month of the DT or the meter that was looked at",
        ),
        date("first_day", "first day looked at"),
        date("last_day", "last day looked at"),
        text("evidence", "what it rests on, in words with figures"),
        flag(
            "stands",
            "whether it is seen; false: what came later took it away",
        ),
        VERSION,
        PUBLISHED_AT,
        REASON,
    ],
};
