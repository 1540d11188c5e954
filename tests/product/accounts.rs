//! A discom of two tied feeders over March to May 2026, small enough to be accounted for by hand: unmetered consumers on F1, prosumers of
//! three schemes on F2, bills, accounts of three years, and who answers for F1.

use std::{fmt::Write as _, path::Path};

use super::Product;

/// The twelfth of May: April is over.
pub const SETTINGS: [(&str, &str); 3] = [
    ("now", "2026-05-12T10:00:00+05:30"),
    ("engine.checkpoint_seconds", "3600"),
    ("engine.tick_ms", "100"),
];
const SINCE: &str = "2020-01-01T00:00:00+05:30";
/// Days before a month, of days since the first of March 2026.
const MARCH: i64 = 0;
pub const APRIL: i64 = 31;
const MAY: i64 = 61;

/// `YYYY-MM-DDTHH:MM` of a quarter hour's end, counted from the first of March 2026.
pub fn end_of(quarter: i64) -> String {
    let (day, of_day) = (quarter / 96, quarter % 96);
    let (month, first) = [(5, MAY), (4, APRIL), (3, MARCH)]
        .into_iter()
        .find(|(_, first)| day >= *first)
        .unwrap();
    format!(
        "2026-{month:02}-{:02}T{:02}:{:02}:00+05:30",
        day - first + 1,
        of_day / 4,
        of_day % 4 * 15
    )
}

/// What a meter counts in each quarter hour of some days.
struct Meter {
    id: &'static str,
    days: std::ops::Range<i64>,
    import_wh: i64,
    export_wh: i64,
}

const fn meter(id: &'static str, days: std::ops::Range<i64>, import_wh: i64, export_wh: i64) -> Meter {
    Meter {
        id,
        days,
        import_wh,
        export_wh,
    }
}

fn reads() -> String {
    let meters = [
        // F1: 1 kWh each quarter hour, and in April 0.25 kWh from F2 beside it.
        meter("MF1", MARCH..MAY, 1_000, 0),
        meter("MF2", APRIL..MAY, 2_000, 0),
        meter("X", MARCH..APRIL, 0, 0),
        meter("X", APRIL..MAY, 250, 0),
        // Net metering: in April more out than in, in May nothing out.
        meter("P1", APRIL..MAY, 100, 150),
        meter("P1", MAY..MAY + 2, 1_000, 0),
        // Net billing.
        meter("P2", APRIL..MAY, 200, 50),
        // Gross metering, by a consumption meter with a factor of 2 and a generation meter.
        meter("P3", APRIL..MAY, 300, 0),
        meter("G3", APRIL..MAY, 5, 100),
    ];
    let mut text = "meter_id,interval_end,import_wh,export_wh\n".to_owned();
    for meter in meters {
        for quarter in meter.days.start * 96 + 1..=meter.days.end * 96 {
            let (id, import, export) = (meter.id, meter.import_wh, meter.export_wh);
            writeln!(text, "{id},{},{import},{export}", end_of(quarter)).unwrap();
        }
    }
    text
}

/// Writes the files that [`start`] imports.
pub fn files(folder: &Path) {
    let nodes = format!(
        "node_id,kind,parent_id,allowable_loss_pct,valid_from\n\
         D,discom,,,{SINCE}\nZ,zone,D,12,{SINCE}\nS,subdivision,Z,,{SINCE}\nF1,feeder,S,,{SINCE}\nF2,feeder,S,,{SINCE}\n\
         T1,dt,F1,,{SINCE}\nT2,dt,F2,,{SINCE}\n"
    );
    let meters = format!(
        "meter_id,role,node_id,boundary_to,interval_minutes,multiplier,valid_from\n\
         MF1,feeder,F1,,15,1,{SINCE}\nMF2,feeder,F2,,15,1,{SINCE}\nX,boundary,F1,F2,15,1,{SINCE}\n\
         P1,consumer,,,15,,{SINCE}\nP2,consumer,,,15,,{SINCE}\nP3,consumer,,,15,2,{SINCE}\nG3,generation,,,15,,{SINCE}\n"
    );
    let connections = format!(
        "consumer_id,meter_id,node_id,category,supply,phases,sanctioned_load_kw,metering,prosumer,valid_from\n\
         CA,,T1,LT-domestic,LT,1,4,unmetered,none,{SINCE}\nCB,,T1,LT-domestic,LT,1,4,unmetered,none,{SINCE}\n\
         CC,,T1,LT-industrial,LT,3,40,unmetered,none,{SINCE}\nCD,,T2,LT-industrial,LT,3,40,unmetered,none,{SINCE}\n\
         C1,P1,T2,LT-domestic,LT,1,10,postpaid,net_metering,{SINCE}\nC2,P2,T2,LT-domestic,LT,1,10,postpaid,net_billing,{SINCE}\n\
         C3,P3,T2,LT-commercial,LT,3,10,postpaid,gross_metering,{SINCE}\nC3,G3,T2,LT-commercial,LT,3,10,postpaid,gross_metering,{SINCE}\n"
    );
    let billing = "consumer_id,month,billed_kwh,billed_inr,arrears_inr,subsidy_inr,collected_inr\n\
        CA,2025-03,1000,7000,,,7000\nCA,2026-03,1000,7000,,,7000\nCD,2026-03,1000,8000,,,8000\n\
        CA,2026-04,80,500,,,500\nCB,2026-04,250,1600,,,1000\nCC,2026-04,2730,19500,999.50,,20000\n\
        CD,2026-04,4536,40320,,,40320\n";
    let accounts = "year,sales_kwh,power_purchase_inr,om_inr,depreciation_inr,interest_inr,revenue_inr,subsidy_inr\n\
        2024-25,100,650,0,0,0,600,\n2025-26,100,650,0,0,0,600,\n2026-27,100,650,0,0,0,600,\n";
    let managers = "feeder_id,manager,contact,valid_from,valid_to\n\
        F1,A. Rao,9800000001,2025-04-01T00:00:00+05:30,2026-05-01T00:00:00+05:30\nF1,S. Iyer,,2026-05-01T00:00:00+05:30,\n";
    for (name, text) in [
        ("nodes", nodes.as_str()),
        ("meters", &meters),
        ("connections", &connections),
        ("billing", billing),
        ("discom_accounts", accounts),
        ("feeder_managers", managers),
        ("reads", &reads()),
    ] {
        std::fs::write(folder.join(format!("{name}.csv")), text).unwrap();
    }
}

/// The discom with everything imported and published.
pub fn start(folder: &Path) -> Product {
    files(folder);
    let product = Product::start(&folder.join("data"), &SETTINGS);
    product.import_all(
        folder,
        &[
            "nodes",
            "meters",
            "connections",
            "billing",
            "discom_accounts",
            "feeder_managers",
            "reads",
        ],
    );
    product.wait_applied();
    product.checkpoint();
    product
}
