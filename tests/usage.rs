//! What a consumer used, on the real binary and real reads with their real gaps: the sums of the file itself, the same whether days are in
//! memory or in the tables alone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::print_stdout,
    clippy::too_many_lines,
    clippy::too_many_arguments,
    clippy::large_futures,
    clippy::needless_pass_by_value,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    reason = "tests fail by panicking, and are an edge"
)]

mod product;

use std::collections::BTreeMap;

use gridtally_schemas::Day;
use product::{Product, real_data};
use serde_json::{Value, json};

/// Long after the last read.
const NOW: (&str, &str) = ("now", "2026-05-10T12:00:00+05:30");
/// A consumer with two-hour holes in its reads.
const HOLED: (&str, &str) = ("CSD10006704", "SD10006704");

/// Counts and Wh of a meter's reads by the civil day in which their intervals lie.
fn days_of(meter: &str) -> BTreeMap<String, (i64, i64)> {
    let text = std::fs::read_to_string(real_data().join("reads.csv")).unwrap();
    let mut days: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    let mut seen = std::collections::BTreeSet::new();
    for line in text.lines().skip(1).filter(|line| line.starts_with(meter)) {
        let fields: Vec<&str> = line.split(',').collect();
        let (end, Ok(wh)) = (fields[1], fields[2].parse::<i64>()) else {
            continue;
        };
        if fields[0] != meter || !seen.insert(end.to_owned()) {
            continue;
        }
        // What ends at midnight belongs to the day before.
        let day = Day::parse(&end[..10]).unwrap();
        let day = if &end[11..16] == "00:00" {
            Day(day.0 - 1)
        } else {
            day
        };
        let sums = days.entry(day.to_string()).or_default();
        sums.0 += 1;
        sums.1 += wh;
    }
    days
}

fn usage(product: &Product, consumer: &str, query: &str) -> Value {
    product.get(&format!("/api/v1/consumers/{consumer}/usage?{query}"))
}

fn start(folder: &std::path::Path, settings: &[(&str, &str)]) -> Product {
    let product = Product::start(folder, &[&[NOW], settings].concat());
    for file in ["nodes.csv", "meters.csv", "connections.csv", "reads.csv"] {
        product.import(&real_data().join(file));
    }
    let bills = folder.join("billing.csv");
    std::fs::write(
        &bills,
        "consumer_id,month,billed_kwh,billed_inr,arrears_inr,subsidy_inr,collected_inr\n\
         CSD10006704,2026-03,31.5,201.25,40,10,100\nCSD10006704,2026-04,301,2000,,,\nCSD10006414,2026-04,1,1,,,\n",
    )
    .unwrap();
    product.import(&bills);
    product.wait_applied();
    product.checkpoint();
    product
}

const APRIL: &str = "from=2026-03-30&to=2026-04-27";

#[test]
fn usage_is_what_the_meter_said_and_gaps_are_missing_or_estimated() {
    let folder = tempfile::tempdir().unwrap();
    let product = start(folder.path(), &[]);
    let days = usage(&product, HOLED.0, &format!("{APRIL}&resolution=day"));
    let expected = days_of(HOLED.1);
    let rows = days["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 28, "{days}");
    assert_eq!(days["meters"], json!([HOLED.1]));
    let mut missing = 0;
    for row in rows {
        let (count, wh) = expected
            .get(row["day"].as_str().unwrap())
            .copied()
            .unwrap_or_default();
        assert_eq!(
            (&row["import_wh"], &row["intervals_reported"]),
            (&json!((count > 0).then_some(wh)), &json!(count)),
            "{row}"
        );
        assert_eq!(row["intervals_expected"], 48, "{row}");
        assert_eq!(row["intervals_missing"], 48 - count, "{row}");
        assert_eq!(
            row["quality"],
            if count < 48 { "missing" } else { "actual" },
            "{row}"
        );
        missing += 48 - count;
    }
    assert!(missing > 0, "this household has holes");
    let all: i64 = expected.values().map(|(_, wh)| wh).sum();
    assert_eq!(days["total"]["import_wh"], all);
    assert_eq!(days["total"]["intervals_missing"], missing);

    // Intervals sum to their day, months to the whole, and bills stand beside them.
    let day = usage(&product, HOLED.0, "from=2026-04-02&to=2026-04-03");
    let sum: i64 = day["rows"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|row| row["import_wh"].as_i64())
        .sum();
    assert_eq!(sum, expected["2026-04-02"].1);
    assert_eq!(day["rows"][0]["interval_end"], "2026-04-02T00:30:00+05:30");
    assert_eq!(day["rows"][0]["interval_minutes"], 30);
    let months = usage(&product, HOLED.0, &format!("{APRIL}&resolution=month"));
    let sums = months["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["import_wh"].as_i64().unwrap());
    assert_eq!(sums.sum::<i64>(), all);
    assert_eq!(months["rows"][0]["billed_inr"], "211.25", "{months}");
    assert_eq!(months["rows"][1]["billed_kwh"], 301.0);
    assert_eq!(
        months["bills"][0],
        json!({ "month": "2026-03-01", "billed_kwh": 31.5, "billed_inr": "211.25", "collected_inr": "100.00" })
    );
    assert_eq!(months["bills"].as_array().unwrap().len(), 2);

    // A meter of which nothing was said owes nothing before its connection begins.
    let late = usage(
        &product,
        "CSD10006486",
        "from=2026-04-14&to=2026-04-15&resolution=day",
    );
    assert_eq!(late["rows"][0]["intervals_expected"], 32, "from 08:00 on: {late}");

    let (status, _, csv) = product.get_as(
        &format!("/api/v1/consumers/{}/usage?{APRIL}&resolution=month", HOLED.0),
        "text/csv",
    );
    assert_eq!(status, 200, "{csv}");
    assert!(csv.starts_with("month,import_wh,export_wh,"), "{csv}");
    assert_eq!(csv.lines().count(), 3, "{csv}");
    for (path, status) in [
        ("nobody/usage", 404),
        ("CSD10006704/usage?resolution=week", 400),
        ("CSD10006704/usage?from=2025-01-01&to=2026-05-01", 400),
    ] {
        assert_eq!(
            product.get_status(&format!("/api/v1/consumers/{path}")),
            Some(status),
            "{path}"
        );
    }
}

#[test]
fn usage_of_days_out_of_memory_is_the_same() {
    let [warm, cold] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let estimates = ("vee.estimate_after_hours", "24");
    let warm = start(warm.path(), &[estimates]);
    let cold = start(cold.path(), &[estimates, ("engine.state_bytes_max", "0")]);
    assert!(cold.metric("gridtally_engine_block_days_out") > 10.0);
    assert!(warm.metric("gridtally_engine_block_days_out") < 1.0);
    let before = cold.metric("gridtally_engine_page_ins_total");
    for consumer in [HOLED.0, "CSDMAC000033", "CSDAUS12"] {
        for resolution in ["interval", "day", "month"] {
            let query = format!("{APRIL}&resolution={resolution}");
            let (here, out) = (usage(&warm, consumer, &query), usage(&cold, consumer, &query));
            assert_eq!(here, out, "{consumer} by {resolution}");
            assert!(here["total"]["import_wh"].as_i64().unwrap() > 0, "{here}");
        }
    }
    let total = usage(&cold, HOLED.0, &format!("{APRIL}&resolution=month"));
    let (estimated, share) = (
        &total["total"]["intervals_estimated"],
        &total["total"]["estimated_pct"],
    );
    assert!(
        estimated.as_i64().unwrap() > 0 && share.as_f64().unwrap() > 0.0,
        "{total}"
    );
    let paged = cold.metric("gridtally_engine_page_ins_total");
    assert!((paged - before).abs() < 0.5, "nothing is brought back for it");
}

/// Values of days that are not final wait on disk; there they are the same, and what is no longer there to be read stops the engine before
/// anything is published without it.
#[test]
fn usage_from_values_that_wait_on_disk_is_the_same_and_damage_loses_nothing() {
    let [warm_folder, cold_folder] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let never_final = ("engine.settlement_hours", "8784");
    let no_room = ("engine.state_bytes_max", "0");
    let warm = start(warm_folder.path(), &[never_final]);
    let mut cold = start(cold_folder.path(), &[never_final, no_room]);
    let file = cold_folder.path().join("cold-values");
    assert!(cold.metric("gridtally_engine_cold_bytes") > 100_000.0);
    assert!(cold.metric("gridtally_engine_block_days_out") < 1.0);
    assert!(
        warm.metric("gridtally_engine_cold_bytes") < 1.0 && !warm_folder.path().join("cold-values").exists()
    );
    let months = [HOLED.0, "CSDMAC000033", "CSDAUS12"]
        .map(|consumer| (consumer, format!("{APRIL}&resolution=interval")));
    for (consumer, query) in &months {
        assert_eq!(
            usage(&warm, consumer, query),
            usage(&cold, consumer, query),
            "{consumer}"
        );
    }

    // Something else writes over the file, and a correction needs what was there.
    let length = usize::try_from(std::fs::metadata(&file).unwrap().len()).unwrap();
    let over = std::fs::OpenOptions::new().write(true).open(&file).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&over, &vec![0x5A; length], 0).unwrap();
    let correction = format!(
        "meter_id,interval_end,import_wh,revision\n{},2026-04-10T12:00:00+05:30,4321,1\n",
        HOLED.1
    );
    let import = |product: &Product| {
        product.post(
            "/api/v1/import/reads?name=correction.csv",
            "text/csv",
            correction.as_bytes(),
        )
    };
    // The connection may break in the middle of the answer: the process ends.
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| import(&cold)));
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while cold.is_running() {
        assert!(std::time::Instant::now() < deadline, "{}", cold.errors());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let errors = cold.errors();
    assert!(
        errors.contains("cold-values at byte") && errors.contains("are not what was written there"),
        "{errors}"
    );

    let cold = Product::start(cold_folder.path(), &[NOW, never_final, no_room]);
    for product in [&warm, &cold] {
        let (status, report) = import(product);
        assert_eq!(status, 200, "{report}");
        product.wait_applied();
        product.checkpoint();
    }
    assert!(cold.metric("gridtally_engine_cold_bytes") > 100_000.0);
    for (consumer, query) in &months {
        assert_eq!(
            usage(&warm, consumer, query),
            usage(&cold, consumer, query),
            "{consumer}"
        );
    }
    let day = usage(
        &cold,
        HOLED.0,
        "from=2026-04-10&to=2026-04-11&resolution=interval",
    );
    assert!(day.to_string().contains("4321"), "{day}");
}
