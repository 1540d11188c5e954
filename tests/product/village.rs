//! The village of `tests/sql/data`: two days of one feeder, told in four steps, so that everything that an auditor asks for has happened
//! once and can be worked out by hand. `tests/sql/README.md` tells the story.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{PATIENCE, Product};

/// Each step's folder, and the clock while it happens.
pub const STEPS: [(&str, &str); 4] = [
    ("1", "2026-04-03T12:00:00+05:30"),
    ("2", "2026-04-06T12:00:00+05:30"),
    ("3", "2026-05-02T12:00:00+05:30"),
    ("4", "2026-05-10T12:00:00+05:30"),
];

/// Files of a step, each after those that it needs.
const KINDS: [&str; 13] = [
    "nodes",
    "meters",
    "connections",
    "planned_outages",
    "supply_hours",
    "reads",
    "registers",
    "events",
    "billing",
    "discom_accounts",
    "feeder_managers",
    "service_requests",
    "claims",
];

/// The outage of Temple Road: an id names the feeder and the minute of UTC in which it began.
const OUTAGE: &str = "F1.20260401T0430";

fn files() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sql/data")
}

/// The product after all four steps, everything published. The folder goes when it is dropped.
pub fn product() -> (tempfile::TempDir, Product) {
    let folder = tempfile::tempdir().unwrap();
    let mut running: Option<Product> = None;
    for (step, now) in STEPS {
        if let Some(before) = running.take() {
            before.kill();
        }
        let product = start(folder.path(), now);
        for kind in KINDS {
            let file = files().join(step).join(format!("{kind}.csv"));
            if file.exists() {
                product.import(&file);
            }
        }
        product.wait_applied();
        match step {
            "1" => crew_says(&product),
            "3" => {
                billing_acknowledges(&product);
                manager_says(&product, "open");
            }
            "4" => manager_says(&product, "done"),
            _ => {}
        }
        product.wait_applied();
        product.checkpoint();
        running = Some(product);
    }
    (folder, running.unwrap())
}

fn start(folder: &Path, now: &str) -> Product {
    Product::start(
        folder,
        &[
            ("now", now),
            ("engine.checkpoint_seconds", "3600"),
            ("engine.tick_ms", "100"),
            ("compensation.regulation", "IN-MH-MERC-2021"),
            ("vee.estimate_after_hours", "24"),
            // Here every meter counts the same all day.
            ("vee.stuck_hours", "48"),
        ],
    )
}

/// The crew found a fuse blown; waits until what is owed for it is.
fn crew_says(product: &Product) {
    let said = json!({ "person": "A. Rao", "cause": "fuse blown", "fault_type": "fuse" });
    let path = format!("/api/v1/outages/{OUTAGE}/cause");
    let (status, answer) = product.post(&path, "application/json", said.to_string().as_bytes());
    assert_eq!(status, 200, "{answer}");
    let begin = std::time::Instant::now();
    while due(product).len() < 3 {
        assert!(begin.elapsed() < PATIENCE, "nothing is due");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// The feeder's manager says where April's deviation comes from, or that it is mended.
fn manager_says(product: &Product, status: &str) {
    let known = product.get("/api/v1/feeders/F1/accountability");
    let mut said = json!({ "person": "S. Rao", "month": "2026-04-01", "cause": "a hook on Temple Road", "status": status });
    if let Some(id) = known["actions"][0]["action_id"].as_str() {
        said["action_id"] = json!(id);
    }
    if status == "done" {
        said["done_on"] = json!("2026-05-08");
    }
    let path = "/api/v1/feeders/F1/actions";
    let (status, answer) = product.post(path, "application/json", said.to_string().as_bytes());
    assert_eq!(status, 200, "{answer}");
}

/// The entries that billing has still to take, in the feed's order.
fn due(product: &Product) -> Vec<serde_json::Value> {
    let page = product.get("/api/v1/compensation/entries?status=due&limit=100");
    page["entries"].as_array().unwrap().clone()
}

/// Billing has credited what C1 is owed.
fn billing_acknowledges(product: &Product) {
    let entries = due(product);
    let of_c1 = entries.iter().find(|entry| entry["consumer_id"] == "C1");
    let id = of_c1.unwrap()["entry_id"].as_str().unwrap();
    let word = json!({ "status": "credited", "entry_ids": [id], "reference": "bill C1/2026-04" });
    let path = "/api/v1/compensation/acknowledgements";
    let (status, answer) = product.post_with(path, ("idempotency-key", "bill-C1-2026-04"), &word);
    assert_eq!(status, 200, "{answer}");
}
