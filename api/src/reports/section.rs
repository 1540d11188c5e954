//! What a report consists of: sections, each one query and how its columns are read.

use super::query::{Parameters, Template, part};

/// What a column holds, and so how it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name: head of its row.
    Name,
    /// The id of a node whose name stands before it; in the page beside the name.
    Id,
    /// Words.
    Words,
    /// A month by its first day; null: the whole period.
    Month,
    /// A civil day.
    Day,
    /// A whole number.
    Whole,
    /// A measure with so many decimals.
    Fixed(usize),
    /// An amount, to the paisa.
    Rupees,
    /// A measure whose unit stands in the column `unit` of its row.
    ByUnit,
    /// The unit of its row.
    Unit,
}

impl Kind {
    /// Whether its values stand to the right.
    pub(super) const fn is_number(self) -> bool {
        match self {
            Self::Whole | Self::Fixed(_) | Self::Rupees | Self::ByUnit => true,
            Self::Name | Self::Id | Self::Words | Self::Month | Self::Day | Self::Unit => false,
        }
    }
}

/// A column of a section.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    /// Its name in the query and in CSV.
    pub(super) name: &'static str,
    /// Its head for people.
    pub(super) heading: &'static str,
    /// Its unit; empty: none, or its row says it.
    pub(super) unit: &'static str,
    pub(super) kind: Kind,
    /// What stands where the value is null.
    pub(super) null: &'static str,
}

impl Column {
    pub(super) const fn new(
        name: &'static str,
        heading: &'static str,
        unit: &'static str,
        kind: Kind,
    ) -> Self {
        Self {
            name,
            heading,
            unit,
            kind,
            null: "not known",
        }
    }

    /// The same, with other words where the value is null.
    pub(super) const fn or(self, null: &'static str) -> Self {
        Self { null, ..self }
    }
}

/// What stands in the place of a figure that rests on too little.
pub(super) const WITHHELD: &str = "withheld";

/// Name and id of a node: the first columns of a table of nodes.
pub(super) const NODE: [Column; 2] = [
    Column::new("node", "Node", "", Kind::Name),
    Column::new("node_id", "Id", "", Kind::Id),
];
pub(super) const INPUT: Column = Column::new("input_kwh", "Input energy", "kWh", Kind::Whole);
pub(super) const BILLED_ENERGY: Column =
    Column::new("billed_kwh", "Energy billed", "kWh", Kind::Whole).or("no bill");
pub(super) const BILLED: Column = Column::new("billed_inr", "Billed", "₹", Kind::Rupees).or("no bill");
pub(super) const COLLECTED: Column = Column::new("collected_inr", "Collected", "₹", Kind::Rupees);
pub(super) const BILLING_EFFICIENCY: Column = Column::new(
    "billing_efficiency_pct",
    "Billing efficiency",
    "%",
    Kind::Fixed(2),
)
.or(WITHHELD);
pub(super) const COLLECTION_EFFICIENCY: Column = Column::new(
    "collection_efficiency_pct",
    "Collection efficiency",
    "%",
    Kind::Fixed(2),
)
.or(WITHHELD);
pub(super) const ATC: Column = Column::new("atc_pct", "AT&C loss", "%", Kind::Fixed(2)).or(WITHHELD);
pub(super) const ENERGY_COVERAGE: Column =
    Column::new("energy_pct", "Input known", "% of feeder-days", Kind::Fixed(1));
pub(super) const BILLS_COVERAGE: Column =
    Column::new("bills_pct", "Billed", "% of consumers", Kind::Fixed(1)).or("no consumer");
pub(super) const STATUS: Column = Column::new("status", "Status", "", Kind::Words);

/// Which months the definitions of a section span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Months {
    /// Those of the period.
    OfPeriod,
    /// The last of the period, the one before it, and that of the year before.
    Compared,
}

/// A section: one query and what is shown of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Section {
    /// Its name in addresses and in CSV.
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    /// What stands under the title: how to read the figures.
    pub(super) says: &'static str,
    pub(super) query: Template,
    pub(super) months: Months,
    /// Texts that the query is bound to beside what all are.
    pub(super) texts: &'static [(&'static str, &'static str)],
    /// Numbers that it is bound to.
    pub(super) numbers: &'static [(&'static str, f64)],
    pub(super) columns: &'static [&'static [Column]],
    /// What is said in the place of a table without rows.
    pub(super) empty: &'static str,
}

impl Section {
    pub(super) const fn new(id: &'static str, title: &'static str, query: Template) -> Self {
        Self {
            id,
            title,
            says: "",
            query,
            months: Months::OfPeriod,
            texts: &[],
            numbers: &[],
            columns: &[],
            empty: "Nothing to show for this period.",
        }
    }

    /// Its columns, in order.
    pub(super) fn columns(&self) -> impl Iterator<Item = &'static Column> {
        self.columns.iter().flat_map(|columns| columns.iter())
    }

    /// Adds what it alone is bound to.
    pub(super) fn bind(&self, parameters: &mut Parameters) {
        for (name, text) in self.texts {
            parameters.text(name, Some(text));
        }
        for (name, number) in self.numbers {
            parameters.number(name, *number);
        }
    }
}

/// The section that every report ends with: what its figures rest on.
pub(super) const TRUST: Section = Section {
    says: "A figure is withheld where it would rest on less than the coverage threshold. Each figure is rounded by itself, so that sums \
           may differ in the last digit.",
    columns: &[&[
        Column::new("figure", "What", "", Kind::Name),
        Column::new("unit", "Unit", "", Kind::Unit),
        Column::new("value", "Value", "", Kind::ByUnit),
    ]],
    ..Section::new(
        "trust",
        "How far these figures can be trusted",
        Template {
            parts: &[part::NETWORK, part::CONNECTED],
            text: include_str!("sql/trust.sql"),
        },
    )
};

/// Outages by class and scope.
pub(super) const OUTAGES: Section = Section {
    says: "Of the node and all below it, by when they began. Durations are of outages that are over.",
    columns: &[&[
        Column::new("class", "Class", "", Kind::Name),
        Column::new("scope", "Scope", "", Kind::Words),
        Column::new("outages", "Outages", "number", Kind::Whole),
        Column::new("not_over", "Not over", "number", Kind::Whole),
        Column::new("force_majeure", "Force majeure", "number", Kind::Whole),
        Column::new("consumers_affected", "Consumers interrupted", "sum", Kind::Whole),
        Column::new("mean_minutes", "Mean duration", "min", Kind::Fixed(1)).or("not over"),
        Column::new("longest_minutes", "Longest", "min", Kind::Fixed(1)).or("not over"),
    ]],
    empty: "No outage began in this period.",
    ..Section::new(
        "outages",
        "Outages",
        Template {
            parts: &[part::NETWORK],
            text: include_str!("sql/outages.sql"),
        },
    )
};

/// Compensation by standard of performance.
pub(super) const COMPENSATION: Section = Section {
    says: "Net of reversals (Electricity (Rights of Consumers) Rules 2020, rule 13). A default is one consumer's one case; that of an outage \
           counts in the month in which the outage began, every other where its entry was made.",
    columns: &[&[
        Column::new("standard", "Standard", "", Kind::Name),
        Column::new("regulation", "Regulation", "", Kind::Words),
        Column::new("clause", "Clause", "", Kind::Words),
        Column::new("entries", "Entries", "number", Kind::Whole),
        Column::new("defaults", "Defaults", "number", Kind::Whole),
        Column::new("consumers", "Consumers", "number", Kind::Whole),
        Column::new("amount_inr", "Compensation", "₹", Kind::Rupees),
        Column::new("credited_inr", "of it credited", "₹", Kind::Rupees),
        Column::new("outstanding_inr", "of it outstanding", "₹", Kind::Rupees),
    ]],
    empty: "No compensation is owed for this period.",
    ..Section::new(
        "compensation",
        "Compensation by standard of performance",
        Template {
            parts: &[part::NETWORK, part::CONNECTED, part::OWED],
            text: include_str!("sql/compensation.sql"),
        },
    )
};

/// Arrival of reads of the nodes below.
pub(super) const READS: Section = Section {
    says: "Share of the interval reads that came, by when they came after the end of their day. A day meets a level when its own share \
           does: 95 % within 8 h, 98 % within 12 h.",
    columns: &[
        &NODE,
        &[
            Column::new("days", "Days", "number", Kind::Whole),
            Column::new("expected", "Expected", "reads", Kind::Whole),
            Column::new("by_8h_pct", "Within 8 h", "%", Kind::Fixed(2)),
            Column::new("by_12h_pct", "Within 12 h", "%", Kind::Fixed(2)),
            Column::new("by_24h_pct", "Within 24 h", "%", Kind::Fixed(2)),
            Column::new("days_8h_met", "8 h level met", "days", Kind::Whole),
            Column::new("days_12h_met", "12 h level met", "days", Kind::Whole),
            Column::new("later", "Later", "reads", Kind::Whole),
            Column::new("estimated", "Estimated", "reads", Kind::Whole),
            Column::new("missing", "Missing", "reads", Kind::Whole),
        ],
    ],
    empty: "No level between this node and its DTs.",
    ..Section::new(
        "reads",
        "Arrival of reads, next level",
        Template {
            parts: &[part::NETWORK],
            text: include_str!("sql/reads_levels.sql"),
        },
    )
};
