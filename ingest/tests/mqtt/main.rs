//! The MQTT endpoint at its socket: hand-made bytes, hostile bytes and real clients against a real log.
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

mod answers;
mod bounds;
mod clients;
mod durability;
#[path = "../held_disk/mod.rs"]
mod held_disk;
mod hostile;
mod support;
