//! The columns of the views that SQL knows beside the tables. A view is stored nowhere: its definition, with its sources, is in `engine/sql`.

use super::{Column, NEWEST_RESULT, TableSchema, count, date, energy, money, number, text};

const fn view(
    name: &'static str,
    about: &'static str,
    key: &'static [&'static str],
    columns: &'static [Column],
) -> TableSchema {
    TableSchema {
        name,
        about,
        key,
        newest_by: NEWEST_RESULT,
        versioned: false,
        partition: None,
        published: false,
        columns,
    }
}

/// Consumption bands.
pub static CONSUMPTION_BANDS_MONTHLY: TableSchema = view(
    "consumption_bands_monthly",
    "consumers billed little, more and much energy in a month, by node; a view of energy_accounting_monthly",
    &["node_id", "month", "band"],
    &[
        text("node_id", "the node: a feeder or any level above"),
        text("kind", "its kind"),
        date("month", "first day of the month"),
        text("band", "low, medium or high"),
        count("consumers", "consumers billed in the band"),
        count("consumers_billed", "consumers billed in the month"),
        number("billed_kwh", "kWh", "energy billed to the band's consumers"),
        money(
            "billed_inr",
            "their revenue, without arrears, with the subsidy that the State pays",
        ),
    ],
);

/// Prosumers by scheme.
pub static PROSUMER_ACCOUNTING_MONTHLY: TableSchema = view(
    "prosumer_accounting_monthly",
    "what prosumers drew and gave in a month, by node and scheme; a view of validated reads, connections and nodes as they stand",
    &["node_id", "month", "scheme"],
    &[
        text("node_id", "the node: a DT, or any level above"),
        date("month", "first day of the month"),
        text("scheme", "net_metering, net_billing or gross_metering"),
        count("consumers", "prosumers with a read in the month"),
        energy("import_wh", "drawn from the network"),
        energy(
            "export_wh",
            "given to it; of a generation meter, what was generated",
        ),
        energy(
            "billed_wh",
            "to be billed: net_metering import less export less credit brought forward, not below 0; else all import",
        ),
        energy(
            "bought_wh",
            "to be bought of them: net_billing the export, gross_metering the generation, net_metering 0",
        ),
        energy(
            "brought_forward_wh",
            "credit at the month's begin; net_metering, else 0",
        ),
        energy(
            "carried_forward_wh",
            "credit at the month's end; net_metering, else 0. It begins each April at 0",
        ),
        count("intervals", "reads counted"),
        count("estimated_intervals", "of these, estimates"),
    ],
);
