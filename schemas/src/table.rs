//! The schema of every SQL table (CONTRACT section 3): columns with type, unit, what null means and what they say.
//!
//! Types are those that Delta Lake knows (it has no unsigned integers), so that every reader of the tables sees them alike. Times
//! are microseconds of UTC, energy is whole Wh, money is decimal INR, days and months are civil in the configured zone.
//!
//! A table is stored append-only with every version of every row. [`TableSchema::newest_by`] says which row of a key stands now.

use std::{collections::HashMap, fmt, sync::Arc};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

mod accounting;
mod balance;
mod exception;
mod network;
mod progress;
mod reading;
mod regulation;
mod revenue;
mod suspicion;
mod view;

pub use accounting::{ENERGY_ACCOUNTING_MONTHLY, FEEDER_ACTIONS, FEEDER_MANAGERS};
pub use balance::{DT_BALANCE, FEEDER_BALANCE, NODE_BALANCE_DAILY, READ_COMPLETENESS};
pub use exception::{QUARANTINE, VEE_EXCEPTIONS};
pub use network::{CLAIMS, CONNECTIONS, METERS, NODES, PLANNED_OUTAGES, SERVICE_REQUESTS, SUPPLY_HOURS};
pub use progress::CHECKPOINTS;
pub use reading::{INTERVAL_READS, METER_EVENTS, REGISTER_READS};
pub use regulation::{
    COMPENSATION_ACKNOWLEDGEMENTS, COMPENSATION_ENTRIES, INTERRUPTIONS, OUTAGE_CAUSES, OUTAGES,
    RELIABILITY_MONTHLY,
};
pub use revenue::{BILLING, BILLING_ADJUSTMENTS, DISCOM_ACCOUNTS, FEEDER_REVENUE_MONTHLY};
pub use suspicion::SUSPICIONS;
pub use view::{CONSUMPTION_BANDS_MONTHLY, PROSUMER_ACCOUNTING_MONTHLY};

/// Every table of the contract: first those that are published today, then those that later work fills.
pub static ALL: &[&TableSchema] = &[
    &INTERVAL_READS,
    &REGISTER_READS,
    &METER_EVENTS,
    &DT_BALANCE,
    &FEEDER_BALANCE,
    &NODE_BALANCE_DAILY,
    &READ_COMPLETENESS,
    &VEE_EXCEPTIONS,
    &QUARANTINE,
    &NODES,
    &METERS,
    &CONNECTIONS,
    &BILLING,
    &BILLING_ADJUSTMENTS,
    &CHECKPOINTS,
    &OUTAGES,
    &INTERRUPTIONS,
    &PLANNED_OUTAGES,
    &SUPPLY_HOURS,
    &OUTAGE_CAUSES,
    &RELIABILITY_MONTHLY,
    &COMPENSATION_ENTRIES,
    &COMPENSATION_ACKNOWLEDGEMENTS,
    &SERVICE_REQUESTS,
    &CLAIMS,
    &FEEDER_REVENUE_MONTHLY,
    &SUSPICIONS,
    &DISCOM_ACCOUNTS,
    &ENERGY_ACCOUNTING_MONTHLY,
    &FEEDER_MANAGERS,
    &FEEDER_ACTIONS,
];

/// The tables that the product writes today.
pub fn published() -> impl Iterator<Item = &'static TableSchema> {
    ALL.iter().copied().filter(|table| table.published)
}

/// The table with this SQL name; `None` when the contract has none.
#[must_use]
pub fn find(name: &str) -> Option<&'static TableSchema> {
    ALL.iter().copied().find(|table| table.name == name)
}

/// A table of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableSchema {
    /// SQL name, and name of its folder under `tables`.
    pub name: &'static str,
    /// What a row says.
    pub about: &'static str,
    /// Columns that tell rows apart.
    pub key: &'static [&'static str],
    /// Columns by which the newest row of a key is told: the greatest stands, compared in this order. Empty: a key has one row.
    pub newest_by: &'static [&'static str],
    /// Whether it has the column `version`: rows may change, and `{name}_history` tells how.
    pub versioned: bool,
    /// The column that splits its folder (`day` or `month`); `None`: not split.
    pub partition: Option<&'static str>,
    /// Whether the product writes it today.
    pub published: bool,
    /// Its columns, in order.
    pub columns: &'static [Column],
}

impl TableSchema {
    /// The Arrow schema. Each field's metadata has `comment` (what it says and what null means) and, where it has one, `unit`.
    #[must_use]
    pub fn arrow(&self) -> SchemaRef {
        Arc::new(Schema::new(
            self.columns.iter().map(Column::field).collect::<Vec<_>>(),
        ))
    }

    /// The column with this name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&'static Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// Type of a column: what Arrow and Delta Lake both know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ColumnType {
    /// UTF-8 text.
    Text,
    /// Bytes.
    Bytes,
    /// True or false.
    Boolean,
    /// 16-bit integer.
    Short,
    /// 32-bit integer.
    Integer,
    /// 64-bit integer.
    Long,
    /// 32-bit floating point.
    Float,
    /// 64-bit floating point.
    Double,
    /// An instant, microseconds of UTC.
    Time,
    /// A civil day; a month is its first day.
    Date,
    /// Money: 18 digits, two of them decimals.
    Money,
}

impl ColumnType {
    /// The Arrow type.
    #[must_use]
    pub fn arrow(self) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Bytes => DataType::Binary,
            Self::Boolean => DataType::Boolean,
            Self::Short => DataType::Int16,
            Self::Integer => DataType::Int32,
            Self::Long => DataType::Int64,
            Self::Float => DataType::Float32,
            Self::Double => DataType::Float64,
            Self::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Date => DataType::Date32,
            Self::Money => DataType::Decimal128(18, 2),
        }
    }
}

impl fmt::Display for ColumnType {
    /// The name of the type in Delta Lake.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "string",
            Self::Bytes => "binary",
            Self::Boolean => "boolean",
            Self::Short => "short",
            Self::Integer => "integer",
            Self::Long => "long",
            Self::Float => "float",
            Self::Double => "double",
            Self::Time => "timestamp",
            Self::Date => "date",
            Self::Money => "decimal(18,2)",
        })
    }
}

/// A column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Name; its unit comes last.
    pub name: &'static str,
    /// Type.
    pub column_type: ColumnType,
    /// Unit; empty: it has none, or the type says it.
    pub unit: &'static str,
    /// What null means; empty: never null.
    pub null: &'static str,
    /// What it says.
    pub about: &'static str,
}

impl Column {
    const fn new(
        name: &'static str,
        column_type: ColumnType,
        unit: &'static str,
        about: &'static str,
    ) -> Self {
        Self {
            name,
            column_type,
            unit,
            null: "",
            about,
        }
    }

    /// The same column, which may be null with this meaning.
    const fn or_null(mut self, meaning: &'static str) -> Self {
        self.null = meaning;
        self
    }

    /// The same column, saying something else.
    const fn saying(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    /// Whether it may be null.
    #[must_use]
    pub const fn nullable(&self) -> bool {
        !self.null.is_empty()
    }

    /// The Arrow field.
    #[must_use]
    pub fn field(&self) -> Field {
        let comment = if self.nullable() {
            format!("{} (null: {})", self.about, self.null)
        } else {
            self.about.to_owned()
        };
        let mut metadata = HashMap::from([("comment".to_owned(), comment)]);
        if !self.unit.is_empty() {
            metadata.insert("unit".to_owned(), self.unit.to_owned());
        }
        Field::new(self.name, self.column_type.arrow(), self.nullable()).with_metadata(metadata)
    }
}

const fn text(name: &'static str, about: &'static str) -> Column {
    Column::new(name, ColumnType::Text, "", about)
}

const fn time(name: &'static str, about: &'static str) -> Column {
    Column::new(name, ColumnType::Time, "", about)
}

const fn date(name: &'static str, about: &'static str) -> Column {
    Column::new(name, ColumnType::Date, "", about)
}

/// A number of things; no unit beyond what its text names.
const fn count(name: &'static str, about: &'static str) -> Column {
    Column::new(name, ColumnType::Long, "", about)
}

/// Energy, Wh.
const fn energy(name: &'static str, about: &'static str) -> Column {
    Column::new(name, ColumnType::Long, "Wh", about)
}

/// A share, per cent.
const fn percent(name: &'static str, about: &'static str) -> Column {
    Column::new(name, ColumnType::Double, "%", about)
}

/// A measured or computed number.
const fn number(name: &'static str, unit: &'static str, about: &'static str) -> Column {
    Column::new(name, ColumnType::Double, unit, about)
}

/// Money, INR.
const fn money(name: &'static str, about: &'static str) -> Column {
    Column::new(name, ColumnType::Money, "INR", about)
}

const fn flag(name: &'static str, about: &'static str) -> Column {
    Column::new(name, ColumnType::Boolean, "", about)
}

const METER_ID: Column = text("meter_id", "the meter");
const INTERVAL_END: Column = time("interval_end", "end of the interval");
const INTERVAL_MINUTES: Column = Column::new(
    "interval_minutes",
    ColumnType::Short,
    "min",
    "length of the interval: 15 or 30",
);
const RECEIVED_AT: Column = time(
    "received_at",
    "when it reached gridtally, by the configured clock",
);
const SOURCE: Column = text(
    "source",
    "who sent it: meter:…, gateway:…, file:… or api:… with the name",
);
const POSITION: Column = count("position", "log record that led to this row");
const VERSION: Column = count("version", "1, 2, … per key: the greatest stands");
const PUBLISHED_AT: Column = time(
    "published_at",
    "when this row was published, by the configured clock",
);
const REASON: Column = text("reason", "why this version came").or_null("the first version");
const DAY: Column = date("day", "civil day in which the interval began");
const RECORDED_AT: Column = time(
    "recorded_at",
    "when the row was learnt: of two rows with one key the later stands",
);
const VALID_FROM: Column = time("valid_from", "holds from this instant");
const VALID_TO: Column = time("valid_to", "holds until before this instant").or_null("open");

/// A versioned table's newest row; the position only settles what has version 0 or was written twice.
const NEWEST_VERSION: &[&str] = &["version", "position"];
/// Where results are versioned and come from no single record.
const NEWEST_RESULT: &[&str] = &["version"];
/// Master data: the later recorded stands.
const NEWEST_RECORDED: &[&str] = &["recorded_at", "position"];

#[cfg(test)]
mod tests;
