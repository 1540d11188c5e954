//! Quarterly energy accounting in the manner of the Bureau of Energy Efficiency (Regulations 2021): input, billed, efficiencies, AT&C loss.

use super::{
    query::{Part, Template, part},
    section::{
        ATC, BILLED, BILLED_ENERGY, BILLING_EFFICIENCY, BILLS_COVERAGE, COLLECTED, COLLECTION_EFFICIENCY,
        Column, ENERGY_COVERAGE, INPUT, Kind, NODE, STATUS, Section, TRUST,
    },
};

const ACCOUNTS: &[Part] = &[part::NETWORK, part::CONNECTED, part::ACCOUNTS];

const FIGURES: [Column; 10] = [
    INPUT,
    BILLED_ENERGY,
    BILLING_EFFICIENCY,
    BILLED,
    COLLECTED,
    COLLECTION_EFFICIENCY,
    ATC,
    ENERGY_COVERAGE,
    BILLS_COVERAGE,
    STATUS,
];

const CIRCLES: Section = Section {
    texts: &[("kind", "circle")],
    columns: &[&NODE, &FIGURES],
    empty: "This part of the network has no circle.",
    ..Section::new(
        "circles",
        "Circles",
        Template {
            parts: ACCOUNTS,
            text: include_str!("sql/bee_levels.sql"),
        },
    )
};

/// Its sections.
pub(super) const SECTIONS: &[Section] = &[
    Section {
        says: "Billing efficiency = energy billed / input energy. Collection efficiency = collected / billed, arrears and subsidy out; it \
               passes 100 % where arrears of other months were collected. AT&C loss = 1 − billing efficiency × collection efficiency.",
        columns: &[&[Column::new("month", "Month", "", Kind::Month)], &FIGURES],
        ..Section::new(
            "months",
            "Energy accounts of the quarter",
            Template {
                parts: ACCOUNTS,
                text: include_str!("sql/bee_months.sql"),
            },
        )
    },
    CIRCLES,
    Section {
        id: "divisions",
        title: "Divisions",
        texts: &[("kind", "division")],
        empty: "This part of the network has no division.",
        ..CIRCLES
    },
    Section {
        id: "feeders",
        title: "Feeders",
        texts: &[("kind", "feeder")],
        empty: "This part of the network has no feeder.",
        ..CIRCLES
    },
    Section {
        says: "Categories as at the end of each month. The rate is the amount billed, without subsidy, by the energy billed.",
        columns: &[&[
            Column::new("category", "Category", "", Kind::Name),
            Column::new("consumers", "Consumers", "number", Kind::Whole),
            Column::new("bills", "Bills", "number", Kind::Whole),
            BILLED_ENERGY,
            BILLED,
            Column::new("subsidy_inr", "Subsidy", "₹", Kind::Rupees).or("none"),
            COLLECTED,
            Column::new("rate_inr", "Rate billed", "₹/kWh", Kind::Fixed(2)).or("no bill"),
        ]],
        empty: "No consumer is connected here.",
        ..Section::new(
            "categories",
            "Consumer categories",
            Template {
                parts: &[part::NETWORK, part::CONNECTED],
                text: include_str!("sql/bee_categories.sql"),
            },
        )
    },
    Section {
        says: "At the end of the quarter.",
        columns: &[&[
            Column::new("what", "What", "", Kind::Name),
            Column::new("total", "Total", "number", Kind::Whole),
            Column::new("metered", "Metered", "number", Kind::Whole),
            Column::new("unmetered", "Unmetered", "number", Kind::Whole),
            Column::new("metered_pct", "Metered", "%", Kind::Fixed(1)),
        ]],
        empty: "There is nothing to meter here.",
        ..Section::new(
            "metering",
            "Metering",
            Template {
                parts: &[part::NETWORK, part::CONNECTED],
                text: include_str!("sql/bee_metering.sql"),
            },
        )
    },
    TRUST,
];
