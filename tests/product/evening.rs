//! A small discom of real reads, at ten past eight in the evening of their last day.

use std::path::Path;

use super::{Product, real_data};

/// The real reads up to eight in the evening of their last day, ten minutes later.
pub fn start(folder: &Path) -> Product {
    let product = Product::start(
        &folder.join("data"),
        &[
            ("now", "2026-04-26T20:10:00+05:30"),
            ("engine.checkpoint_seconds", "3600"),
        ],
    );
    for file in ["nodes.csv", "meters.csv", "connections.csv"] {
        product.import(&real_data().join(file));
    }
    let all = std::fs::read_to_string(real_data().join("reads.csv")).unwrap();
    let is_kept = |line: &&str| line.split(',').nth(1) <= Some("2026-04-26T20:00:00+05:30");
    let kept = all.lines().skip(1).filter(is_kept);
    let text: Vec<&str> = all.lines().take(1).chain(kept).collect();
    let path = folder.join("reads.csv");
    std::fs::write(&path, text.join("\n")).unwrap();
    product.import(&path);
    product.wait_applied();
    product.checkpoint();
    product
}
