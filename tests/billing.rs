//! Bills on the real binary: an estimate that was billed is locked, and the read that comes later adjusts the bill.
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

use std::{fmt::Write, path::Path, process::Command};

use product::{BINARY, Product};
use serde_json::json;

fn write(folder: &Path, name: &str, text: &str) -> std::path::PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

/// Interval ends of the n-th quarter of 2026-04-01.
fn end(n: i64) -> String {
    let (hours, minutes) = (n * 15 / 60, n * 15 % 60);
    if n == 96 {
        "2026-04-02T00:00:00+05:30".to_owned()
    } else {
        format!("2026-04-01T{hours:02}:{minutes:02}:00+05:30")
    }
}

#[test]
fn a_read_that_comes_after_the_bill_adjusts_it_and_stands_as_energy() {
    let folder = tempfile::tempdir().unwrap();
    let since = "2026-01-01T00:00:00+05:30";
    let files = [
        (
            "nodes",
            format!(
                "node_id,kind,parent_id,name,valid_from\nD,discom,,D,{since}\nF,feeder,D,F,{since}\nT,dt,F,T,{since}\n"
            ),
        ),
        (
            "meters",
            format!(
                "meter_id,role,node_id,interval_minutes,multiplier,valid_from\nMT,dt,T,15,1,{since}\nA,consumer,,15,1,{since}\n"
            ),
        ),
        (
            "connections",
            format!(
                "consumer_id,meter_id,node_id,category,supply,phases,sanctioned_load_kw,metering,valid_from\nCA,A,T,LT-domestic,LT,1,4,postpaid,{since}\n"
            ),
        ),
    ];
    let mut reads = "meter_id,interval_end,import_wh\n".to_owned();
    for n in (1..=96).filter(|n| *n != 11) {
        writeln!(reads, "A,{},{}", end(n), 200 + n % 2).unwrap();
    }
    let estimate = ("vee.estimate_after_hours", "24");
    let data = folder.path().join("data");
    let product = Product::start(&data, &[("now", "2026-05-02T12:00:00+05:30"), estimate]);
    for (kind, text) in &files {
        product.import(&write(folder.path(), &format!("{kind}.csv"), text));
    }
    product.import(&write(folder.path(), "reads.csv", &reads));
    let bill = "consumer_id,month,billed_kwh,billed_inr,fixed_inr\nCA,2026-04,21.5,99.5,\n";
    product.import(&write(folder.path(), "billing.csv", bill));
    let (status, report) = product.post(
        "/api/v1/import/billing?name=bad.csv",
        "text/csv",
        b"consumer_id,month,billed_kwh,billed_inr\nCA,2026-4,1,1\nCB,2026-04,1,1.234\nCC,2026-04,1,1\nCC,2026-04,2,2\n",
    );
    assert_eq!((status, &report["rows_accepted"]), (422, &json!(1)), "{report}");
    product.checkpoint();
    let at = "interval_end = TIMESTAMP '2026-03-31T21:15:00Z'";
    let quality = format!("SELECT quality, import_wh FROM interval_reads WHERE meter_id = 'A' AND {at}");
    assert_eq!(product.sql(&quality), [vec![json!("estimated"), json!(200)]]);
    let billed =
        "SELECT consumer_id, billed_kwh, billed_inr, fixed_inr FROM billing WHERE consumer_id = 'CA'";
    assert_eq!(
        product.sql(billed),
        [vec![json!("CA"), json!(21.5), json!("99.50"), json!(null)]]
    );
    let adjustments = "SELECT meter_id, consumer_id, method, billed_import_wh, actual_import_wh, adjustment_import_wh, version \
                       FROM billing_adjustments";
    assert_eq!(product.sql(adjustments), Vec::<Vec<serde_json::Value>>::new());
    product.kill();

    let later = ("now", "2026-05-10T12:00:00+05:30");
    let product = Product::start(&data, &[later, estimate]);
    let late = format!("meter_id,interval_end,import_wh\nA,{},500\n", end(11));
    let later_files = folder.path().join("later");
    std::fs::create_dir(&later_files).unwrap();
    product.import(&write(&later_files, "reads.csv", &late));
    product.checkpoint();
    let expected = vec![
        json!("A"),
        json!("CA"),
        json!("linear"),
        json!(200),
        json!(500),
        json!(300),
        json!(1),
    ];
    assert_eq!(product.sql(adjustments), std::slice::from_ref(&expected));
    assert_eq!(product.sql(&quality), [vec![json!("actual"), json!(500)]]);
    product.kill();

    let product = Product::start(&data, &[later, estimate]);
    product.checkpoint();
    assert_eq!(product.sql(adjustments), [expected], "a restart changes nothing");
    drop(product);
    let output = Command::new(BINARY)
        .args(["verify", "--now", later.1, "--data-dir", data.to_str().unwrap()])
        .output()
        .unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}
