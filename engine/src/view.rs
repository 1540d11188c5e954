//! Views: definitions in `engine/sql` over published tables, which SQL knows by their names. Nothing of them is stored: they say what
//! follows from the tables as these stand.

use gridtally_schemas::table::{self, TableSchema};

/// A view.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// Its SQL name, and what its columns say.
    pub schema: &'static TableSchema,
    /// Its definition. Its header says what it gives, from what, and its source.
    pub sql: &'static str,
    /// The tables that it reads.
    pub from: &'static [&'static TableSchema],
}

/// Every view.
pub static ALL: [View; 2] = [
    View {
        schema: &table::CONSUMPTION_BANDS_MONTHLY,
        sql: include_str!("../sql/consumption_bands_monthly.sql"),
        from: &[&table::ENERGY_ACCOUNTING_MONTHLY],
    },
    View {
        schema: &table::PROSUMER_ACCOUNTING_MONTHLY,
        sql: include_str!("../sql/prosumer_accounting_monthly.sql"),
        from: &[
            &table::INTERVAL_READS,
            &table::CONNECTIONS,
            &table::METERS,
            &table::NODES,
        ],
    },
];

/// The view with this SQL name.
#[must_use]
pub fn find(name: &str) -> Option<&'static View> {
    ALL.iter().find(|view| view.schema.name == name)
}
