//! The monthly report to the management: what came in, what was billed and collected, who was out, what it costs, how reads came.

use super::{
    query::{Part, Template, part},
    section::{
        ATC, BILLED, BILLED_ENERGY, BILLING_EFFICIENCY, COLLECTED, COLLECTION_EFFICIENCY, COMPENSATION,
        Column, ENERGY_COVERAGE, INPUT, Kind, Months, NODE, OUTAGES, READS, STATUS, Section, TRUST, WITHHELD,
    },
};

const ACCOUNTS: &[Part] = &[part::NETWORK, part::CONNECTED, part::ACCOUNTS];
const ACCOUNTS_AND_OWED: &[Part] = &[part::NETWORK, part::CONNECTED, part::ACCOUNTS, part::OWED];

/// Its sections.
pub(super) const SECTIONS: &[Section] = &[
    Section {
        says: "Reliability is consumer-based with major event days. AT&C loss = 1 − billing efficiency × collection efficiency.",
        months: Months::Compared,
        columns: &[&[
            Column::new("figure", "Figure", "", Kind::Name),
            Column::new("unit", "Unit", "", Kind::Unit),
            Column::new("this_month", "This month", "", Kind::ByUnit),
            Column::new("month_before", "Month before", "", Kind::ByUnit),
            Column::new("year_ago", "Same month last year", "", Kind::ByUnit),
        ]],
        ..Section::new(
            "figures",
            "Key figures",
            Template {
                parts: ACCOUNTS_AND_OWED,
                text: include_str!("sql/mis_figures.sql"),
            },
        )
    },
    Section {
        columns: &[
            &NODE,
            &[
                Column::new("consumers", "Consumers", "number", Kind::Whole),
                INPUT,
                Column::new("loss_pct", "Network loss", "%", Kind::Fixed(2)).or(WITHHELD),
                BILLED_ENERGY,
                BILLED,
                COLLECTED,
                ATC,
                Column::new("saifi", "SAIFI", "per consumer", Kind::Fixed(3)),
                Column::new("saidi_minutes", "SAIDI", "min", Kind::Fixed(1)),
                Column::new("owed_inr", "Compensation", "₹", Kind::Rupees),
                ENERGY_COVERAGE,
                STATUS,
            ],
        ],
        empty: "No level between this node and its DTs.",
        ..Section::new(
            "levels",
            "Next level",
            Template {
                parts: ACCOUNTS_AND_OWED,
                text: include_str!("sql/mis_levels.sql"),
            },
        )
    },
    Section {
        says: "The ten feeders with the most energy that was not billed. Short of target: by how much the revenue billed stays below the \
               feeder's target revenue (FRAMES, CSTEP-WP-2019-01).",
        columns: &[
            &NODE,
            &[
                INPUT,
                BILLED_ENERGY,
                Column::new("not_billed_kwh", "Not billed", "kWh", Kind::Whole),
                BILLING_EFFICIENCY,
                COLLECTION_EFFICIENCY,
                ATC,
                Column::new("deviation_inr", "Short of target", "₹", Kind::Rupees).or("no target"),
                ENERGY_COVERAGE,
                STATUS,
            ],
        ],
        empty: "No feeder's input and bills are known well enough yet.",
        ..Section::new(
            "feeders",
            "Feeders to look at",
            Template {
                parts: ACCOUNTS,
                text: include_str!("sql/mis_feeders.sql"),
            },
        )
    },
    OUTAGES,
    COMPENSATION,
    READS,
    TRUST,
];
