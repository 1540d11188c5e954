//! The service provider's monthly report: how complete and how timely reads were, against the service levels, by node and day.

use super::{
    query::{Template, part},
    section::{Column, Kind, NODE, READS, Section, TRUST},
};

/// Share of a day's interval reads that must have come 8 h after its end, per cent (AMISP model bidding document; DOMAIN section 3).
pub(super) const LEVEL_8H_PCT: f64 = 95.0;
/// Share that must have come 12 h after its end, per cent (the same).
pub(super) const LEVEL_12H_PCT: f64 = 98.0;

const DAYS: Section = Section {
    numbers: &[("depth", 0.0)],
    columns: &[
        &NODE,
        &[
            Column::new("day", "Day", "", Kind::Day),
            Column::new("expected", "Expected", "reads", Kind::Whole),
            Column::new("by_8h_pct", "Within 8 h", "%", Kind::Fixed(2)),
            Column::new("by_12h_pct", "Within 12 h", "%", Kind::Fixed(2)),
            Column::new("by_24h_pct", "Within 24 h", "%", Kind::Fixed(2)),
            Column::new("level", "Service level", "", Kind::Words),
            Column::new("later", "Later", "reads", Kind::Whole),
            Column::new("estimated", "Estimated", "reads", Kind::Whole),
            Column::new("missing", "Missing", "reads", Kind::Whole),
        ],
    ],
    empty: "No reads were owed in this month.",
    ..Section::new(
        "days",
        "Days",
        Template {
            parts: &[part::NETWORK],
            text: include_str!("sql/amisp_days.sql"),
        },
    )
};

/// Its sections.
pub(super) const SECTIONS: &[Section] = &[
    Section {
        says: "Of all interval reads that the meters owed. A read came when its first value that can stand was received; times count from \
               the end of its civil day. A day meets a level when its own share does.",
        columns: &[&[
            Column::new("level", "Reads", "", Kind::Name),
            Column::new("required_pct", "Required", "%", Kind::Fixed(1)).or("none set"),
            Column::new("expected", "Expected", "reads", Kind::Whole),
            Column::new("came", "Came", "reads", Kind::Whole),
            Column::new("came_pct", "Came", "%", Kind::Fixed(2)),
            Column::new("days", "Days", "number", Kind::Whole),
            Column::new("days_met", "Level met", "days", Kind::Whole).or("none set"),
        ]],
        empty: "No reads were owed in this month.",
        ..Section::new(
            "month",
            "Service levels of the month",
            Template {
                parts: &[],
                text: include_str!("sql/amisp_month.sql"),
            },
        )
    },
    READS,
    DAYS,
    Section {
        id: "node_days",
        title: "Days of the next level",
        numbers: &[("depth", 1.0)],
        empty: "No level between this node and its DTs owed reads in this month.",
        ..DAYS
    },
    TRUST,
];
