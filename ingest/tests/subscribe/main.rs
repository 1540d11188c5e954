//! The subscriber against Debian's mosquitto: each test starts a broker of its own, with a relay before it that sees every
//! acknowledgement and can cut the connection.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::print_stdout,
    clippy::too_many_lines,
    clippy::large_futures,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    reason = "tests fail by panicking, and are an edge"
)]

mod bounds;
mod broker;
mod durability;
#[path = "../held_disk/mod.rs"]
mod held_disk;
mod reconnect;
mod relay;
mod subscriber;
