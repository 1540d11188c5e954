//! Bills of the demo's discom for the end of the year before, and its accounts: so that what is lost has a price, and feeders a target.
//!
//! Tariffs are of house choice, near those of Indian States in 2025. Energy is the sanctioned load times the hours of use of its category:
//! enough for a rate, not a history of anybody.

use std::{fmt::Write as _, io, path::Path};

/// Months that are billed; the demo begins with April 2026.
const MONTHS: [&str; 3] = ["2026-01", "2026-02", "2026-03"];

/// Accounts of the year before and of the demo's year: on average a unit earns 4 % more.
const ACCOUNTS: &str = "year,sales_kwh,power_purchase_inr,om_inr,depreciation_inr,interest_inr,revenue_inr,subsidy_inr\n\
                        2025-26,24000000,131000000,19000000,8000000,9000000,158000000,6000000\n\
                        2026-27,25000000,147000000,20500000,8400000,9300000,171000000,6700000\n";

/// A tariff: its category, hours of use of the sanctioned load a month, INR a kWh that the consumer pays, and that the State pays for him.
struct Tariff(&'static str, f64, f64, f64);

const TARIFFS: [Tariff; 7] = [
    Tariff("LT-domestic", 95.0, 6.40, 0.0),
    Tariff("LT-commercial", 120.0, 9.80, 0.0),
    Tariff("LT-industry", 170.0, 8.20, 0.0),
    Tariff("LT-agriculture", 140.0, 1.90, 3.60),
    Tariff("LT-streetlight", 330.0, 7.00, 0.0),
    Tariff("HT-industry", 260.0, 7.60, 0.0),
    Tariff("HT-commercial", 200.0, 9.10, 0.0),
];

/// Writes `billing.csv` and `discom_accounts.csv` for the consumers of `connections.csv`, beside it.
///
/// # Errors
/// When a file cannot be read or written.
pub(super) fn write(folder: &Path) -> io::Result<()> {
    let connections = std::fs::read_to_string(folder.join("connections.csv"))?;
    std::fs::write(folder.join("billing.csv"), bills(&connections))?;
    std::fs::write(folder.join("discom_accounts.csv"), ACCOUNTS)
}

fn bills(connections: &str) -> String {
    let mut lines = connections.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let column = |name: &str| {
        header
            .iter()
            .position(|column| *column == name)
            .unwrap_or(usize::MAX)
    };
    let (consumer, category, load) = (
        column("consumer_id"),
        column("category"),
        column("sanctioned_load_kw"),
    );
    let mut bills =
        "consumer_id,month,billed_kwh,billed_inr,arrears_inr,subsidy_inr,collected_inr\n".to_owned();
    for line in lines {
        let cells: Vec<&str> = line.split(',').collect();
        let cell = |at: usize| cells.get(at).copied().unwrap_or_default();
        let tariff = TARIFFS.iter().find(|tariff| tariff.0 == cell(category));
        let (Some(Tariff(_, hours, inr, subsidy)), Ok(kw)) = (tariff, cell(load).parse::<f64>()) else {
            continue;
        };
        let kwh = (kw * hours).round();
        for month in MONTHS {
            let (billed, paid) = (kwh * inr, kwh * subsidy);
            // Writing to a text cannot fail.
            let _ = writeln!(
                bills,
                "{},{month},{kwh:.0},{billed:.2},,{paid:.2},{:.2}",
                cell(consumer),
                billed * 0.94
            );
        }
    }
    bills
}

#[cfg(test)]
mod tests {
    use super::bills;

    #[test]
    fn each_consumer_has_a_bill_a_month_by_its_tariff() {
        let connections = "consumer_id,meter_id,node_id,category,supply,phases,sanctioned_load_kw\n\
                           C1,M1,T,LT-domestic,LT,1,2\nC2,,T,LT-agriculture,LT,3,5\nC3,M3,T,unheard-of,LT,1,1\nC4,M4,T,LT-domestic,LT,1,\n";
        let text = bills(connections);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 7, "{text}");
        assert_eq!(lines[1], "C1,2026-01,190,1216.00,,0.00,1143.04");
        assert_eq!(lines[6], "C2,2026-03,700,1330.00,,2520.00,1250.20");
    }
}
