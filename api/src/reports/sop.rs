//! The quarterly return on the Standards of Performance: reliability as the return counts it and as consumers met it, and compensation.

use super::{
    query::{Part, Template, part},
    section::{COMPENSATION, Column, Kind, NODE, OUTAGES, Section, TRUST},
};

const INDICES: &[Part] = &[part::NETWORK, part::CONNECTED, part::INDICES];
const NO_CONSUMER: &str = "no consumer";

const FIGURES: [Column; 10] = [
    Column::new("consumers", "Consumers N_T", "number", Kind::Whole),
    Column::new(
        "saifi_feeder",
        "SAIFI feeder-based",
        "per consumer",
        Kind::Fixed(3),
    )
    .or(NO_CONSUMER),
    Column::new(
        "saifi_consumer",
        "SAIFI consumer-based",
        "per consumer",
        Kind::Fixed(3),
    )
    .or(NO_CONSUMER),
    Column::new(
        "saifi_difference",
        "SAIFI difference",
        "per consumer",
        Kind::Fixed(3),
    )
    .or(NO_CONSUMER),
    Column::new("saidi_feeder", "SAIDI feeder-based", "min", Kind::Fixed(2)).or(NO_CONSUMER),
    Column::new("saidi_consumer", "SAIDI consumer-based", "min", Kind::Fixed(2)).or(NO_CONSUMER),
    Column::new("saidi_difference", "SAIDI difference", "min", Kind::Fixed(2)).or(NO_CONSUMER),
    Column::new(
        "maifi_feeder",
        "MAIFI feeder-based",
        "per consumer",
        Kind::Fixed(3),
    )
    .or(NO_CONSUMER),
    Column::new(
        "maifi_consumer",
        "MAIFI consumer-based",
        "per consumer",
        Kind::Fixed(3),
    )
    .or(NO_CONSUMER),
    Column::new(
        "maifi_difference",
        "MAIFI difference",
        "per consumer",
        Kind::Fixed(3),
    )
    .or(NO_CONSUMER),
];

const MONTHS: Section = Section {
    says: "Feeder-based is the count of the return: interruptions of the 11 kV feeder times its consumers. Consumer-based counts each \
           consumer's own interruptions, by his meter. The difference, consumer less feeder, is what the return does not see: faults below \
           the feeder. The quarter divides by the last month's consumers.",
    texts: &[("med", "included")],
    columns: &[&[Column::new("month", "Month", "", Kind::Month)], &FIGURES],
    ..Section::new(
        "indices",
        "Reliability, major event days included",
        Template {
            parts: INDICES,
            text: include_str!("sql/sop_months.sql"),
        },
    )
};

/// Its sections.
pub(super) const SECTIONS: &[Section] = &[
    MONTHS,
    Section {
        id: "indices_without_med",
        title: "Reliability, major event days excluded",
        says: "A major event day is one whose SAIDI lies above the 2.5-beta threshold of the five years before (IEEE 1366).",
        texts: &[("med", "excluded")],
        ..MONTHS
    },
    Section {
        says: "Major event days included.",
        texts: &[("med", "included")],
        columns: &[&NODE, &FIGURES],
        empty: "No level between this node and its DTs.",
        ..Section::new(
            "levels",
            "Reliability of the quarter, next level",
            Template {
                parts: INDICES,
                text: include_str!("sql/sop_levels.sql"),
            },
        )
    },
    Section {
        says: "SAIFI, SAIDI and MAIFI of the return are the sums of these columns over all feeders, divided by N_T. N_i: consumers of the \
               feeder in the last month. Major event days included.",
        texts: &[("med", "included")],
        columns: &[
            &NODE,
            &[
                Column::new("consumers", "Consumers N_i", "number", Kind::Whole),
                Column::new(
                    "feeder_interruptions",
                    "A_i N_i, interruptions",
                    "number",
                    Kind::Whole,
                ),
                Column::new("interrupted_minutes", "B_i N_i, duration", "min", Kind::Fixed(1)),
                Column::new("feeder_momentary", "C_i N_i, momentary", "number", Kind::Whole),
                Column::new("saifi_feeder", "SAIFI", "per consumer", Kind::Fixed(3)).or(NO_CONSUMER),
                Column::new("saidi_feeder", "SAIDI", "min", Kind::Fixed(2)).or(NO_CONSUMER),
                Column::new("maifi_feeder", "MAIFI", "per consumer", Kind::Fixed(3)).or(NO_CONSUMER),
            ],
        ],
        empty: "No feeder was out in this quarter.",
        ..Section::new(
            "feeders",
            "Feeders that were out",
            Template {
                parts: INDICES,
                text: include_str!("sql/sop_feeders.sql"),
            },
        )
    },
    COMPENSATION,
    OUTAGES,
    TRUST,
];
